/** What the log says of an error. */
import { GraftError } from '../../shared/errors.ts';

const QUERY_MAX_CHARS = 1_000;

/** The error and what caused it, and so on: drizzle wraps what D1 throws. */
export function causes(error: unknown): Error[] {
  const all: Error[] = [];
  for (let one = error; one instanceof Error && all.length < 10; one = one.cause) all.push(one);
  return all;
}

/** With its causes; of a query the text and not its values, which are the tenants'. */
export function forTheLog(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const told = causes(error).map((one) => {
    // Says all that there is to say.
    if (one instanceof GraftError) return String(one);
    const query: unknown = (one as { query?: unknown }).query;
    return typeof query === 'string' ? `Failed query: ${query.slice(0, QUERY_MAX_CHARS)}` : (one.stack ?? one.message);
  });
  return told.join('\ncaused by: ');
}
