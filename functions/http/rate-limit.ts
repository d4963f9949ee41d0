/**
 * A token bucket per key in this isolate, announced by the RateLimit header fields (draft-ietf-httpapi-ratelimit-headers-10). It protects an
 * isolate from one busy caller; it is not an account-wide quota, and several isolates each allow the full rate.
 */
import { GraftError } from '../../shared/errors.ts';

export const RATE_WINDOW_SECONDS = 60;
/** Requests a key may make in a window, and at most at once: a hundred a second is more than one isolate can embed. */
export const RATE_LIMIT_REQUESTS = 6_000;
const BUCKETS_MAX = 10_000;

type Bucket = { tokens: number; at: number };

export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();
  readonly #limit: number;
  constructor(limit = RATE_LIMIT_REQUESTS) {
    this.#limit = limit;
  }

  /** Takes one token of `key` at time `now` (ms). `resetSeconds`: until the bucket is full again. */
  take(key: string, now: number): { allowed: boolean; remaining: number; resetSeconds: number; retryAfterSeconds: number } {
    const perMs = this.#limit / (RATE_WINDOW_SECONDS * 1_000);
    const last = this.#buckets.get(key) ?? { tokens: this.#limit, at: now };
    const tokens = Math.min(this.#limit, last.tokens + Math.max(0, now - last.at) * perMs);
    const allowed = tokens >= 1;
    const left = allowed ? tokens - 1 : tokens;
    // Insertion order is age: re-inserting keeps the least recently seen key first, which is the one to forget.
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: left, at: now });
    if (this.#buckets.size > BUCKETS_MAX) {
      const oldest = this.#buckets.keys().next().value;
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return {
      allowed,
      remaining: Math.floor(left),
      resetSeconds: Math.ceil((this.#limit - left) / (perMs * 1_000)),
      retryAfterSeconds: allowed ? 0 : Math.ceil((1 - tokens) / (perMs * 1_000)),
    };
  }

  /** The two header values after `take`. */
  headers(taken: { remaining: number; resetSeconds: number }): { policy: string; state: string } {
    return {
      policy: `"default";q=${this.#limit};w=${RATE_WINDOW_SECONDS}`,
      state: `"default";r=${taken.remaining};t=${taken.resetSeconds}`,
    };
  }

  refusal(retryAfterSeconds: number): GraftError {
    const detail = `The key made more than ${this.#limit} requests in ${RATE_WINDOW_SECONDS} seconds. Try again in ${retryAfterSeconds} s.`;
    return new GraftError('rate_limited', detail, { retryAfterSeconds });
  }
}
