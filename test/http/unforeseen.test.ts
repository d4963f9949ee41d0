/** What the platform throws now and then is no fault of ours that needs a look: callers are told to try again. */
import { DrizzleQueryError } from 'drizzle-orm';
import { Hono } from 'hono';
import { afterEach, expect, it, vi } from 'vitest';
import type { HttpEnv } from '../../functions/http/context.ts';
import { toProblem } from '../../functions/http/problems.ts';
import { Problem } from '../../shared/errors.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

async function thrown(error: Error): Promise<{ response: Response; code: string; log: string }> {
  const lines: unknown[] = [];
  for (const level of ['warn', 'error'] as const) vi.spyOn(console, level).mockImplementation((line: unknown) => void lines.push(line));
  const app = new Hono<HttpEnv>();
  app.onError(toProblem);
  app.use(async (c, next) => {
    c.set('requestId', 'req_test');
    await next();
  });
  app.get('/', () => {
    throw error;
  });
  const response = await app.request('https://graft.test/');
  return { response, code: Problem.parse(await response.clone().json()).code, log: String(lines) };
}

const query = (message: string) => new DrizzleQueryError('select "id" from "keys" where "hash" = ?', ['a tenant’s own value'], new Error(message));

it.each([
  ['a busy object', Object.assign(new Error('Durable Object is overloaded.'), { overloaded: true })],
  ['an object that moves', Object.assign(new Error('Network connection lost.'), { retryable: true })],
  ['a busy database', query('D1_ERROR: D1 DB is overloaded. Requests queued for too long.')],
  ['a database that starts again', query('D1_ERROR: Internal error in D1 DB storage caused object to be reset.')],
  ['a database that is being updated', query('D1_ERROR: D1 DB reset because its code was updated.')],
])('%s is unavailable for a moment', async (_, error) => {
  const { response, code } = await thrown(error);
  expect([response.status, code, response.headers.get('retry-after')]).toEqual([503, 'unavailable', '1']);
});

it('a query that failed is in the log with its cause and without its values', async () => {
  const { response, code, log } = await thrown(query('D1_ERROR: no such table: keys'));
  expect([response.status, code]).toEqual([500, 'internal']);
  expect(log).toContain('select \\"id\\" from');
  expect(log).toContain('no such table: keys');
  expect(log).not.toContain('own value');
});
