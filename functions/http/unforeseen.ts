/** Errors that nobody wrote for callers: whether another try may help, and what the log says of them. */

/**
 * Durable Objects mark what may be tried again (https://developers.cloudflare.com/durable-objects/best-practices/error-handling/); D1 only says it
 * (https://developers.cloudflare.com/d1/observability/debug-d1/).
 */
const PASSING = /Network connection lost|caused object to be reset|reset because its code was updated|D1 DB is overloaded|due to transient issue/;
const QUERY_MAX_CHARS = 1_000;

/** The error and what caused it, and so on: drizzle wraps what D1 throws. */
function causes(error: unknown): Error[] {
  const all: Error[] = [];
  for (let one = error; one instanceof Error && all.length < 10; one = one.cause) all.push(one);
  return all;
}

export function isTransient(error: unknown): boolean {
  return causes(error).some((one) => {
    const marked = one as { overloaded?: unknown; retryable?: unknown };
    return marked.overloaded === true || marked.retryable === true || PASSING.test(one.message);
  });
}

/** With its causes; of a query the text and not its values, which are the tenants'. */
export function forTheLog(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const told = causes(error).map((one) => {
    const query: unknown = (one as { query?: unknown }).query;
    return typeof query === 'string' ? `Failed query: ${query.slice(0, QUERY_MAX_CHARS)}` : (one.stack ?? one.message);
  });
  return told.join('\ncaused by: ');
}
