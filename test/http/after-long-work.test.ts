/** Before a late answer the event loop turns, so that the connection that it goes out on is not closed as idle. */
import { Hono } from 'hono';
import { expect, it } from 'vitest';
import type { HttpEnv } from '../../functions/http/context.ts';
import { afterLongWork } from '../../functions/http/after-long-work.ts';

it.each([
  [700, true],
  [1, false],
])('an answer after %i ms of computing waits for a turn: %s', async (milliseconds, waits) => {
  let turned = false;
  const app = new Hono<HttpEnv>();
  app.use(afterLongWork);
  app.get('/', (c) => {
    const until = performance.now() + milliseconds;
    while (performance.now() < until);
    setTimeout(() => (turned = true), 0);
    return c.text('done');
  });
  expect(await (await app.request('/')).text()).toBe('done');
  expect(turned).toBe(waits);
});
