/** `X-Request-Id` in and out. A caller's own id is kept when it is short and harmless, so that its logs and ours meet. */
import type { MiddlewareHandler } from 'hono';
import type { HttpEnv } from './context.ts';

const ACCEPTED = /^[A-Za-z0-9._:-]{1,128}$/;

export const requestId: MiddlewareHandler<HttpEnv> = async (c, next) => {
  const given = c.req.header('x-request-id');
  const id = given && ACCEPTED.test(given) ? given : `req_${crypto.randomUUID().replaceAll('-', '')}`;
  c.set('requestId', id);
  await next();
  c.header('X-Request-Id', id);
};
