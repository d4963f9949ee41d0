/**
 * A request that computed for seconds lets the event loop turn before it answers. workerd measures how long a connection is idle by a clock that is read
 * when the loop turns: answered from behind a long computation, the connection is taken for idle all that time and closed under the caller's next request.
 */
import type { MiddlewareHandler } from 'hono';
import type { HttpEnv } from './context.ts';

const LONG_MS = 500;

export const afterLongWork: MiddlewareHandler<HttpEnv> = async (_, next) => {
  const started = performance.now();
  try {
    await next();
  } finally {
    if (performance.now() - started > LONG_MS) await new Promise((resolve) => setTimeout(resolve, 0));
  }
};
