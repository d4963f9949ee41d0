/** Bodies are bounded before anything reads them: by their declared length at once, by counting while streaming otherwise. */
import type { MiddlewareHandler } from 'hono';
import { GraftError } from '../../shared/errors.ts';
import { IMAGE_MAX_BYTES, JSON_MAX_BYTES, TEXT_MAX_BYTES } from '../../shared/limits.ts';
import type { HttpEnv } from './context.ts';

/** What is read of a body that nobody wants. A connection that is answered and closed while its caller still sends is reset, and the answer lost. */
const DISCARD_MAX_BYTES = 100 * 1024 * 1024;
const DISCARD_MAX_MS = 30_000;

/** Pictures and texts sent raw have their own limits; everything else (JSON, multipart) has that of a JSON request. */
export function bodyLimitOf(contentType: string): { bytes: number; what: string } {
  const type = contentType.split(';')[0]?.trim().toLowerCase() ?? '';
  if (type.startsWith('image/')) return { bytes: IMAGE_MAX_BYTES, what: 'a picture' };
  if (type === 'text/plain') return { bytes: TEXT_MAX_BYTES, what: 'a text' };
  return { bytes: JSON_MAX_BYTES, what: 'a request' };
}

export const limitBody: MiddlewareHandler<HttpEnv> = async (c, next) => {
  const raw = c.req.raw;
  if (raw.body === null) return await next();
  const encoding = c.req.header('content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    await discard(raw.body);
    throw new GraftError('unsupported_media_type', `A body with Content-Encoding "${encoding.slice(0, 100)}" is not read; send it as it is.`, {
      param: 'content-encoding',
    });
  }
  const limit = bodyLimitOf(c.req.header('content-type') ?? '');
  const overLimit = () => new GraftError('body_too_large', `The body is over the limit of ${limit.bytes} bytes for ${limit.what}.`);
  const declared = c.req.header('content-length');
  if (declared !== undefined && Number(declared) > limit.bytes) {
    if (Number(declared) <= DISCARD_MAX_BYTES) await discard(raw.body);
    throw overLimit();
  }
  if (declared === undefined) {
    let seen = 0;
    const counted = raw.body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          seen += chunk.byteLength;
          if (seen <= limit.bytes) return controller.enqueue(chunk);
          c.set('bodyOverLimit', limit.bytes);
          if (seen > DISCARD_MAX_BYTES) controller.error(overLimit());
        },
        flush(controller) {
          if (seen > limit.bytes) controller.error(overLimit());
        },
      }),
    );
    // oxlint-disable-next-line unicorn/no-invalid-fetch-options -- the method is the request's own
    c.req.raw = new Request(raw, { body: counted });
  }
  try {
    await next();
  } finally {
    // Refused before it was read: no key, no such path, a type that is not taken.
    if (c.req.raw.body !== null && !c.req.raw.bodyUsed) await discard(c.req.raw.body);
  }
};

async function discard(body: ReadableStream<Uint8Array>): Promise<void> {
  let seen = 0;
  const nowhere = new WritableStream<Uint8Array>({
    write(chunk) {
      seen += chunk.byteLength;
      if (seen > DISCARD_MAX_BYTES) throw new Error('more than anybody reads');
    },
  });
  try {
    await body.pipeTo(nowhere, { signal: AbortSignal.timeout(DISCARD_MAX_MS) });
  } catch {
    // The caller went away, sends too much or too slowly: it gets its answer, or does not.
  }
}
