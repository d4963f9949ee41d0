/**
 * Who is calling and whether they may. It runs as route middleware, before any id is looked at. Keys are found by their SHA-256 and remembered in
 * this isolate for KEY_CACHE_TTL_SECONDS, so a revoked key dies everywhere within that time (and at once where it was revoked).
 */
import type { Context, MiddlewareHandler } from 'hono';
import { GraftError } from '../../shared/errors.ts';
import { KEY_CACHE_TTL_SECONDS } from '../../shared/limits.ts';
import type { Scope } from '../../shared/wire/scopes.ts';
import { secretsEqual, sha256Hex } from '../domain/digests.ts';
import { findKeyByHash, type StoredKey } from '../stores/keys.ts';
import type { Actor, HttpEnv } from './context.ts';
import { RateLimiter } from './rate-limit.ts';

const CACHED_KEYS_MAX = 5_000;
const known = new Map<string, { key: StoredKey; readAt: number }>();
const limiter = new RateLimiter();

/** Forgets a key in this isolate as soon as it is revoked here. */
export function forgetKey(id: string): void {
  for (const [hash, entry] of known) if (entry.key.id === id) known.delete(hash);
}

async function findKey(c: Context<HttpEnv>, secret: string): Promise<StoredKey | null> {
  const deps = c.get('deps');
  const now = deps.now();
  const hash = await sha256Hex(secret);
  const cached = known.get(hash);
  let key = cached && now - cached.readAt < KEY_CACHE_TTL_SECONDS * 1_000 ? cached.key : null;
  if (!key) {
    key = await findKeyByHash(deps.db, hash);
    known.delete(hash);
    // Unknown keys are not remembered: guessing must not fill the memory, and a new key must work at once.
    if (!key) return null;
    if (known.size >= CACHED_KEYS_MAX) known.clear();
    known.set(hash, { key, readAt: now });
  }
  const dead = key.revokedAt !== null || (key.expiresAt !== null && key.expiresAt <= now);
  return dead ? null : key;
}

async function authenticate(c: Context<HttpEnv>): Promise<Actor> {
  const header = c.req.header('authorization');
  if (!header) throw new GraftError('unauthorized', 'The Authorization header is missing. Send "Authorization: Bearer graft_…".');
  const secret = /^Bearer +(\S{1,200})$/i.exec(header)?.[1];
  if (!secret) throw new GraftError('unauthorized', 'The Authorization header is not of the form "Bearer graft_…".');
  if (await secretsEqual(secret, c.get('deps').settings.operatorKey)) return { kind: 'operator' };
  const key = await findKey(c, secret);
  if (!key) throw new GraftError('unauthorized', 'The API key is unknown, expired or revoked.');
  return { kind: 'tenant', tenant: key.tenant, key: key.id, scopes: key.scopes };
}

/** Counts the request and answers what puts the headers on; a refusal carries them too. */
function limitRate(c: Context<HttpEnv>, key: string): () => void {
  const taken = limiter.take(key, c.get('deps').now());
  const headers = limiter.headers(taken);
  const announce = () => {
    c.header('RateLimit-Policy', headers.policy);
    c.header('RateLimit', headers.state);
  };
  if (!taken.allowed) {
    announce();
    throw limiter.refusal(taken.retryAfterSeconds);
  }
  return announce;
}

/** Lets a tenant's key pass that has one of the scopes (`admin` always has); with no scope named, any valid key of a tenant. */
export function requireScope(...scopes: readonly Scope[]): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const actor = await authenticate(c);
    if (actor.kind === 'operator')
      throw new GraftError('forbidden', "The operator's key creates tenants and their keys; this call needs a tenant's own key.");
    const announce = limitRate(c, actor.key);
    const allowed = scopes.length === 0 || actor.scopes.includes('admin') || scopes.some((scope) => actor.scopes.includes(scope));
    if (!allowed)
      throw new GraftError('forbidden', `The key has the scopes ${actor.scopes.join(', ') || 'none'}; this call needs ${scopes.join(' or ')}.`);
    c.set('actor', actor);
    await next();
    announce();
  };
}

/** Lets only the operator's key pass. */
export function requireOperator(): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const actor = await authenticate(c);
    if (actor.kind !== 'operator') throw new GraftError('forbidden', "This call needs the operator's key.");
    c.set('actor', actor);
    await next();
  };
}

/** The tenant of the caller, after `requireScope`. */
export function tenantOf(c: Context<HttpEnv>): string {
  const actor = c.get('actor');
  if (actor?.kind !== 'tenant') throw new Error('tenantOf needs requireScope before it');
  return actor.tenant;
}
