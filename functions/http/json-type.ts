/**
 * `Content-Type` of JSON bodies in one form. RFC 9110 (§5.6.6, §8.3.1) allows blanks around the semicolon of a parameter and a parameter that is empty; the
 * framework's pattern does not, and would refuse as unsupported what is JSON. What a parameter says is not needed: JSON is UTF-8 (RFC 8259 §8.1).
 */
import type { MiddlewareHandler } from 'hono';
import type { HttpEnv } from './context.ts';

const JSON_TYPE = 'application/json';

export const plainJsonType: MiddlewareHandler<HttpEnv> = async (c, next) => {
  const given = c.req.header('content-type');
  if (given !== undefined && given !== JSON_TYPE && given.split(';')[0]?.trim().toLowerCase() === JSON_TYPE) {
    const headers = new Headers(c.req.raw.headers);
    headers.set('content-type', JSON_TYPE);
    c.req.raw = new Request(c.req.raw, { headers });
  }
  await next();
};
