/** Errors that nobody wrote for callers: whether another try may help. */
import { causes } from '../domain/for-the-log.ts';

/**
 * Durable Objects mark what may be tried again (https://developers.cloudflare.com/durable-objects/best-practices/error-handling/); D1 only says it
 * (https://developers.cloudflare.com/d1/observability/debug-d1/).
 */
const PASSING = /Network connection lost|caused object to be reset|reset because its code was updated|D1 DB is overloaded|due to transient issue/;

export function isTransient(error: unknown): boolean {
  return causes(error).some((one) => {
    const marked = one as { overloaded?: unknown; retryable?: unknown };
    return marked.overloaded === true || marked.retryable === true || PASSING.test(one.message);
  });
}
