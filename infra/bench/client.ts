/** The few calls that the benchmark makes, over HTTP like any caller's; answers are parsed with the published schemas. */
import type { z } from 'zod';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { Prediction } from '../../shared/wire/predictions.ts';
import { NewKey, Tenant } from '../../shared/wire/tenants.ts';

export type Example = { readonly label: string } & ({ readonly image: Uint8Array } | { readonly text: string });
export type Input = { readonly type: 'image/png' | 'image/jpeg' | 'text/plain'; readonly body: Uint8Array | string };

export class Client {
  readonly #url: string;
  readonly #key: string;
  constructor(url: string, key: string) {
    this.#url = url;
    this.#key = key;
  }

  /** A client with the key of a new tenant. */
  static async forNewTenant(url: string, operatorKey: string): Promise<Client> {
    const operator = new Client(url, operatorKey);
    const tenant = await operator.#post('/v1/tenants', JSON.stringify({ name: 'bench' }), Tenant);
    const key = await operator.#post(
      `/v1/tenants/${tenant.id}/keys`,
      JSON.stringify({ name: 'bench', scopes: ['predict', 'enroll', 'admin'] }),
      NewKey,
    );
    return new Client(url, key.key);
  }

  async createClassifier(modality: 'image' | 'text'): Promise<string> {
    return (await this.#post('/v1/classifiers', JSON.stringify({ name: `bench ${modality}`, modality }), Classifier)).id;
  }

  /** @returns the version that knows the examples. */
  async enroll(classifier: string, examples: readonly Example[]): Promise<number> {
    const wire = examples.map((e) => ('image' in e ? { label: e.label, image: Buffer.from(e.image).toString('base64') } : e));
    return (await this.#post(`/v1/classifiers/${classifier}/examples`, JSON.stringify({ examples: wire }), EnrollAnswer)).version;
  }

  async predict(classifier: string, input: Input, minVersion?: number): Promise<Prediction> {
    const query = minVersion === undefined ? '' : `?min_version=${minVersion}`;
    const body = typeof input.body === 'string' ? input.body : Uint8Array.from(input.body);
    return await this.#post(`/v1/classifiers/${classifier}/predict${query}`, body, Prediction, input.type);
  }

  async #post<Schema extends z.ZodType>(
    path: string,
    body: string | Uint8Array<ArrayBuffer>,
    schema: Schema,
    type = 'application/json',
  ): Promise<z.infer<Schema>> {
    const response = await fetch(this.#url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#key}`, 'content-type': type },
      body,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`POST ${path} answered ${response.status}: ${text.slice(0, 500)}`);
    return schema.parse(JSON.parse(text));
  }
}
