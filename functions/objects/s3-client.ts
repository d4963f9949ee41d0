/** Signed requests to the object store: addressing, retries and errors. It knows HTTP and signatures, not what the objects are for. */
import { AwsClient } from 'aws4fetch';
import { GraftError } from '../../shared/errors.ts';
import type { Settings } from '../env.ts';
import { parseError } from './s3-xml.ts';

/** Tries after the first one, on network errors and what `PASSING` says; every request here is safe to repeat. */
const RETRIES = 3;
/** Besides 5xx. 409: S3 saw two conditional writes of a key at once and decided neither. */
const PASSING: ReadonlySet<number> = new Set([409, 429]);
const RETRY_BASE_MS = 100;

export type S3Request = {
  readonly method: 'GET' | 'PUT' | 'POST' | 'HEAD' | 'DELETE';
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Statuses besides 2xx that the caller handles itself. */
  readonly allow?: readonly number[];
};

/** RFC 3986 for every segment of a key: `encodeURIComponent` leaves `!'()*`, which signatures do not. */
export function encodeKey(key: string): string {
  return key
    .split('/')
    .map((part) => encodeURIComponent(part).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`))
    .join('/');
}

export class S3Client {
  readonly #aws: AwsClient;
  readonly #s3: Settings['s3'];
  constructor(s3: Settings['s3']) {
    this.#s3 = s3;
    this.#aws = new AwsClient({ accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey, service: 's3', region: s3.region, retries: 0 });
  }

  #url(endpoint: string, key: string, query: Readonly<Record<string, string>> = {}): URL {
    const url = new URL(`${endpoint.replace(/\/+$/, '')}/${encodeURIComponent(this.#s3.bucket)}/${encodeKey(key)}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  }

  /** Sends one request. Throws GraftError `unavailable` when the store does not answer or refuses. */
  async send(request: S3Request): Promise<Response> {
    const url = this.#url(this.#s3.endpoint, request.key, request.query);
    for (let attempt = 0; ; attempt++) {
      let problem: string;
      try {
        const signed = await this.#aws.sign(url.toString(), {
          method: request.method,
          headers: { ...request.headers },
          ...(request.body === undefined ? {} : { body: request.body as BodyInit }),
        });
        const response = await fetch(signed);
        if (response.ok || request.allow?.includes(response.status)) return response;
        const text = await response.text();
        const error = parseError(text);
        problem = `status ${response.status}${error ? ` ${error.code}` : ''}`;
        if (response.status < 500 && !PASSING.has(response.status)) throw new GraftError('unavailable', storeProblem(request.method, problem));
      } catch (error) {
        if (error instanceof GraftError) throw error;
        problem = 'no answer';
        if (attempt >= RETRIES) throw new GraftError('unavailable', storeProblem(request.method, problem), { cause: error });
      }
      if (attempt >= RETRIES) throw new GraftError('unavailable', storeProblem(request.method, problem));
      await new Promise((resolve) => setTimeout(resolve, Math.random() * RETRY_BASE_MS * 2 ** attempt));
    }
  }

  /** A presigned URL under the public endpoint. Every header given is signed, so the request must carry it with the same value. */
  async presign(
    method: 'GET' | 'PUT' | 'DELETE',
    key: string,
    more: { ttlSeconds: number; query?: Readonly<Record<string, string>>; headers?: Readonly<Record<string, string>> },
  ): Promise<string> {
    // aws4fetch does not set the expiry itself; it must be in the URL before signing.
    const url = this.#url(this.#s3.publicEndpoint, key, { ...more.query, 'X-Amz-Expires': String(Math.floor(more.ttlSeconds)) });
    const signed = await this.#aws.sign(url.toString(), {
      method,
      headers: { ...more.headers },
      // Without allHeaders aws4fetch leaves content-length and content-type out of the signature, and the store would take any.
      aws: { signQuery: true, allHeaders: true },
    });
    return signed.url;
  }
}

function storeProblem(method: string, problem: string): string {
  return `The object storage could not carry out a ${method} (${problem}). Nothing was changed; try again.`;
}
