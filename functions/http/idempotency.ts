/**
 * `Idempotency-Key` on calls that create: the first answer is kept for IDEMPOTENCY_TTL_SECONDS and given again. Answers that another try could change
 * (429, 5xx, 401, 403, 404, 409) are not kept. Bodies are sealed at rest, because an answer may hold a secret that is shown once.
 */
import type { Context, MiddlewareHandler } from 'hono';
import { GraftError } from '../../shared/errors.ts';
import { IDEMPOTENCY_TTL_SECONDS } from '../../shared/limits.ts';
import { decodeBase64, encodeBase64 } from '../domain/base64.ts';
import { sha256Hex } from '../domain/digests.ts';
import { seal, unseal } from '../domain/seal.ts';
import { claimIdempotencyKey, findIdempotencyKey, keepFirstAnswer, releaseIdempotencyKey, type FirstAnswer } from '../stores/idempotency.ts';
import type { HttpEnv } from './context.ts';
import { formOf } from './forms.ts';

/** Longer than any request takes; a crashed one blocks its repetition no longer than this. */
const LOCK_SECONDS = 120;
const KEY_MAX_CHARS = 255;
const KEPT_STATUSES: ReadonlySet<number> = new Set([400, 413, 415, 422]);
const PACKED_FROM_CHARS = 100_000;
/** No answer begins so. */
const PACKED = 'gzip:';
const KEPT_HEADERS = ['content-type', 'location'] as const;

/** Goes after `requireScope` in a route's middleware. Calls without the header pass untouched. */
export function idempotent(): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const key = c.req.header('idempotency-key');
    if (key === undefined) return await next();
    if (key.length === 0 || key.length > KEY_MAX_CHARS)
      throw new GraftError('invalid_request', `The Idempotency-Key must have 1 to ${KEY_MAX_CHARS} characters.`, { param: 'idempotency-key' });
    const { db, now, settings } = c.get('deps');
    const actor = c.get('actor');
    const tenant = actor.kind === 'operator' ? 'operator' : actor.tenant;
    const at = now();
    const claim = {
      tenant,
      key,
      digest: await requestDigest(c),
      now: at,
      lockedUntil: at + LOCK_SECONDS * 1_000,
      keptSince: at - IDEMPOTENCY_TTL_SECONDS * 1_000,
    };
    const context = `idempotency/${tenant}/${key}`;
    if (!(await claimIdempotencyKey(db, claim))) {
      const answer = await firstAnswer(db, claim);
      return new Response(await unpack(await unseal(settings.secretKey, answer.body, context)), {
        status: answer.status,
        headers: { ...answer.headers, 'Idempotency-Replayed': 'true' },
      });
    }
    await next();
    const kept = c.res.ok || KEPT_STATUSES.has(c.res.status);
    if (!kept) return await releaseIdempotencyKey(db, claim);
    const headers = Object.fromEntries(KEPT_HEADERS.flatMap((name) => (c.res.headers.has(name) ? [[name, c.res.headers.get(name) ?? '']] : [])));
    const body = await seal(settings.secretKey, await pack(await c.res.clone().text()), context);
    await keepFirstAnswer(db, claim, { status: c.res.status, headers, body });
  };
}

async function firstAnswer(db: HttpEnv['Variables']['deps']['db'], claim: { tenant: string; key: string; digest: string }): Promise<FirstAnswer> {
  const row = await findIdempotencyKey(db, claim.tenant, claim.key);
  if (row && row.digest !== claim.digest)
    throw new GraftError('idempotency_mismatch', `The Idempotency-Key "${claim.key}" was used with a different request before.`);
  // The row may be gone again: its request failed in a way that may be repeated.
  if (!row?.answer)
    throw new GraftError('idempotency_in_flight', `The first request with the Idempotency-Key "${claim.key}" is still running.`, {
      retryAfterSeconds: 1,
    });
  return row.answer;
}

/** A row of D1 holds 2 MB. The answer to a large upload is longer than that, but its thousands of URLs differ in little more than their signatures. */
async function pack(text: string): Promise<string> {
  if (text.length < PACKED_FROM_CHARS) return text;
  const packed = new Response(text).body!.pipeThrough(new CompressionStream('gzip'));
  return PACKED + encodeBase64(new Uint8Array(await new Response(packed).arrayBuffer()));
}

async function unpack(text: string): Promise<string> {
  if (!text.startsWith(PACKED)) return text;
  const bytes = decodeBase64(text.slice(PACKED.length));
  if (!bytes) throw new Error('a kept answer cannot be unpacked');
  return await new Response(new Response(bytes).body!.pipeThrough(new DecompressionStream('gzip'))).text();
}

/** Method, path, query and body. A multipart body counts by its fields, because its boundary is different in every repetition. */
async function requestDigest(c: Context<HttpEnv>): Promise<string> {
  const url = new URL(c.req.url);
  const lines = [c.req.method, url.pathname, url.search];
  if (c.req.header('content-type')?.toLowerCase().startsWith('multipart/form-data')) {
    for (const [name, value] of await formOf(c)) {
      const entry: unknown = value;
      const isFile = entry instanceof File;
      const bytes = isFile ? new Uint8Array(await entry.arrayBuffer()) : new TextEncoder().encode(String(entry));
      lines.push(name, isFile ? `${entry.name}\n${entry.type}` : '', await sha256Hex(bytes));
    }
  } else {
    lines.push(c.req.header('content-type') ?? '', await sha256Hex(new Uint8Array(await c.req.arrayBuffer())));
  }
  return await sha256Hex(lines.join('\n'));
}
