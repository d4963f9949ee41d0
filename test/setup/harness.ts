/** What tests inside workerd share: the Worker itself, a fresh tenant for each test, and answers parsed with the published schemas. */
import { env, exports } from 'cloudflare:workers';
import { expect } from 'vitest';
import type { z } from 'zod';
import { ERRORS, Problem, type ErrorCode } from '../../shared/errors.ts';
import { NewKey, Tenant } from '../../shared/wire/tenants.ts';
import { SCOPES, type Scope } from '../../shared/wire/scopes.ts';
import type { Bindings } from '../../functions/env.ts';
import { expectDocumented } from './documented.ts';

export const bindings = env as unknown as Bindings & { HAS_BACKBONES: boolean };
export const OPERATOR = bindings.GRAFT_OPERATOR_KEY;
const worker = (exports as unknown as { default: { fetch(request: Request): Promise<Response> } }).default;

export type Call = {
  readonly method?: string;
  readonly key?: string | null;
  readonly json?: unknown;
  readonly body?: BodyInit;
  readonly headers?: Record<string, string>;
};

/** One request to the Worker. A refusal that the public document does not name fails the test. */
export async function call(path: string, { method, key, json, body, headers = {} }: Call = {}): Promise<Response> {
  const sent = new Headers(headers);
  if (key) sent.set('authorization', `Bearer ${key}`);
  if (json !== undefined && !sent.has('content-type')) sent.set('content-type', 'application/json');
  const payload = json === undefined ? body : JSON.stringify(json);
  const verb = method ?? (payload === undefined ? 'GET' : 'POST');
  const response = await worker.fetch(
    new Request(`https://graft.test${path}`, { method: verb, headers: sent, ...(payload === undefined ? {} : { body: payload }) }),
  );
  await expectDocumented(verb, path, response, call);
  return response;
}

/** The answer's body by its schema; a wrong status prints the body. */
export async function answer<Schema extends z.ZodType>(response: Response, status: number, schema: Schema): Promise<z.infer<Schema>> {
  const text = await response.text();
  expect(response.status, text).toBe(status);
  return schema.parse(JSON.parse(text));
}

/** Expects a problem with this code: status, media type, schema and request id included. */
export async function problem(response: Response, code: ErrorCode): Promise<Problem> {
  const text = await response.text();
  expect(response.status, text).toBe(ERRORS[code].status);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const body = Problem.parse(JSON.parse(text));
  expect(body.code, text).toBe(code);
  expect(body.request_id).toBe(response.headers.get('x-request-id'));
  return body;
}

/** A new tenant with a key of these scopes. */
export async function newTenant(scopes: readonly Scope[] = SCOPES): Promise<{ tenant: string; key: string; keyId: string }> {
  const tenant = await answer(await call('/v1/tenants', { key: OPERATOR, json: { name: 'Test' } }), 201, Tenant);
  const made = await call(`/v1/tenants/${tenant.id}/keys`, { key: OPERATOR, json: { name: 'test', scopes } });
  const key = await answer(made, 201, NewKey);
  return { tenant: tenant.id, key: key.key, keyId: key.id };
}

/** Another key of the tenant whose admin key is given. */
export async function newKey(adminKey: string, scopes: readonly Scope[]): Promise<{ key: string; id: string }> {
  return await answer(await call('/v1/keys', { key: adminKey, json: { name: 'more', scopes } }), 201, NewKey);
}
