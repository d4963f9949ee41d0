/** Every call of the public document is knocked at as careless clients do. `call` itself fails where it refuses with what the document does not name. */
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Problem, type ErrorCode } from '../../shared/errors.ts';
import { JSON_MAX_BYTES } from '../../shared/limits.ts';
import { call, newTenant, OPERATOR, type Call } from '../setup/harness.ts';

const Operation = z.looseObject({
  security: z.array(z.unknown()).optional(),
  requestBody: z.looseObject({ content: z.record(z.string(), z.unknown()) }).optional(),
});
const Document = z.object({ paths: z.record(z.string(), z.record(z.string(), Operation)) });
type Door = { readonly method: string; readonly path: string; readonly hasJson: boolean };

let key = '';
let doors: Door[] = [];
beforeAll(async () => {
  ({ key } = await newTenant());
  const { paths } = Document.parse(await (await call('/openapi.json')).json());
  doors = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item)
      // Public calls refuse nobody.
      .filter(([, operation]) => operation.security?.length !== 0)
      .map(([method, { requestBody }]) => ({
        method: method.toUpperCase(),
        path: path.replaceAll(/\{\w+\}/g, 'nobody'),
        hasJson: requestBody?.content['application/json'] !== undefined,
      })),
  );
});

/** Its code; null where it does not refuse. With the operator's key where no tenant's opens. */
async function knock({ method, path }: Door, sent: Call): Promise<ErrorCode | null> {
  const response = await call(path, { ...sent, method, key });
  const seen = response.status === 403 ? await call(path, { ...sent, method, key: OPERATOR }) : response;
  const text = await seen.text();
  return seen.ok ? null : Problem.parse(JSON.parse(text)).code;
}
const json = { 'content-type': 'application/json' };

describe('the document names what is answered', () => {
  it('to a wrong id and an empty object', async () => {
    const codes = [];
    for (const door of doors) codes.push(await knock(door, door.hasJson ? { json: {} } : {}));
    expect(new Set(codes)).toEqual(new Set([null, 'not_found', 'invalid_request']));
  });

  it.each<[ErrorCode, string, Record<string, string>]>([
    ['malformed_json', '{', json],
    ['empty_body', '', json],
    ['unsupported_media_type', 'a,b', { 'content-type': 'text/csv' }],
    ['unsupported_media_type', '{}', { ...json, 'content-encoding': 'gzip' }],
    ['body_too_large', ' '.repeat(JSON_MAX_BYTES + 1), json],
  ])('to a body that is %s', async (code, body, headers) => {
    for (const door of doors.filter(({ hasJson }) => hasJson)) expect(await knock(door, { body, headers }), door.path).toBe(code);
  });

  it('to an Idempotency-Key that comes again, with another request and while the first runs', async () => {
    const codes = new Set<ErrorCode | null>();
    for (const door of doors.filter(({ method }) => method === 'POST')) {
      const sent = { ...(door.hasJson ? { json: {} } : {}), headers: { ...json, 'idempotency-key': crypto.randomUUID() } };
      const other = { ...door, path: `${door.path}?other` };
      for (const code of await Promise.all([knock(door, sent), knock(door, sent), knock(other, sent)])) codes.add(code);
    }
    expect([...codes]).toEqual(expect.arrayContaining(['idempotency_mismatch', 'idempotency_in_flight']));
  });
});
