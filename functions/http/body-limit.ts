/** Bodies are bounded before anything reads them: by their declared length at once, by counting while streaming otherwise. */
import type { MiddlewareHandler } from 'hono';
import { GraftError } from '../../shared/errors.ts';
import { IMAGE_MAX_BYTES, JSON_MAX_BYTES, TEXT_MAX_BYTES } from '../../shared/limits.ts';
import type { HttpEnv } from './context.ts';

/** Pictures and texts sent raw have their own limits; everything else (JSON, multipart) has that of a JSON request. */
export function bodyLimitOf(contentType: string): { bytes: number; what: string } {
  const type = contentType.split(';')[0]?.trim().toLowerCase() ?? '';
  if (type.startsWith('image/')) return { bytes: IMAGE_MAX_BYTES, what: 'a picture' };
  if (type === 'text/plain') return { bytes: TEXT_MAX_BYTES, what: 'a text' };
  return { bytes: JSON_MAX_BYTES, what: 'a request' };
}

export const limitBody: MiddlewareHandler<HttpEnv> = async (c, next) => {
  const raw = c.req.raw;
  if (raw.body !== null) {
    const limit = bodyLimitOf(c.req.header('content-type') ?? '');
    const overLimit = () => new GraftError('body_too_large', `The body is over the limit of ${limit.bytes} bytes for ${limit.what}.`);
    const declared = c.req.header('content-length');
    if (declared !== undefined && Number(declared) > limit.bytes) throw overLimit();
    if (declared === undefined) {
      let seen = 0;
      const counted = raw.body.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform(chunk, controller) {
            seen += chunk.byteLength;
            if (seen <= limit.bytes) return controller.enqueue(chunk);
            c.set('bodyOverLimit', limit.bytes);
            controller.error(overLimit());
          },
        }),
      );
      // oxlint-disable-next-line unicorn/no-invalid-fetch-options -- the method is the request's own
      c.req.raw = new Request(raw, { body: counted });
    }
  }
  await next();
};
