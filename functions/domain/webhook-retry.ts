/** When a webhook is sent again. Pure: clock and randomness are arguments. */
import { WEBHOOK_RETRY_SECONDS } from '../../shared/limits.ts';

/** Up to this share is added to a wait, so that endpoints that fell over together are not hit together. */
const JITTER = 0.1;
/** A receiver may ask for patience, but not for ever. */
const RETRY_AFTER_MAX_SECONDS = 86_400;

export type SendResult =
  | { readonly kind: 'answered'; readonly status: number; readonly retryAfter: string | null }
  /** No answer: refused address, DNS, TLS, time-out. */
  | { readonly kind: 'no_answer'; readonly detail: string };

export type AfterSend =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'retry'; readonly at: number }
  | { readonly kind: 'failed' }
  /** 410: the receiver wants nothing more, ever. */
  | { readonly kind: 'gone' };

/** Seconds from a Retry-After header (RFC 9110 §10.2.3: seconds or a date), or null. */
export function retryAfterSeconds(header: string | null, now: number): number | null {
  if (header === null) return null;
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) || !/[A-Za-z]/.test(text) ? null : Math.max(0, Math.ceil((date - now) / 1_000));
}

/** `attempts` counts the sends so far, this one included. */
export function afterSend(result: SendResult, attempts: number, now: number, random: number): AfterSend {
  if (result.kind === 'answered' && result.status >= 200 && result.status < 300) return { kind: 'delivered' };
  if (result.kind === 'answered' && result.status === 410) return { kind: 'gone' };
  const scheduled = WEBHOOK_RETRY_SECONDS[attempts];
  if (scheduled === undefined) return { kind: 'failed' };
  const asked = result.kind === 'answered' ? (retryAfterSeconds(result.retryAfter, now) ?? 0) : 0;
  const seconds = Math.max(scheduled * (1 + JITTER * random), Math.min(RETRY_AFTER_MAX_SECONDS, asked));
  return { kind: 'retry', at: now + Math.round(seconds * 1_000) };
}
