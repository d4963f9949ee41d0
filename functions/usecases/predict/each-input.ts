/** Work on each of several inputs, with every fault told at its pointer instead of only the first. */
import { GraftError, type ErrorDetail } from '../../../shared/errors.ts';

/**
 * All results in order. When some fail, throws one error: the code of the first that failed, `errors` for all of them, and nothing else happened.
 * @param at JSON pointer of an item, such as `/examples/3`
 */
export async function eachInput<T, R>(items: readonly T[], at: (index: number) => string, work: (item: T) => Promise<R>): Promise<R[]> {
  const settled = await Promise.allSettled(items.map(work));
  const faults: { index: number; error: GraftError }[] = [];
  for (const [index, result] of settled.entries()) {
    if (result.status === 'fulfilled') continue;
    // Not the input's fault: no list of faults would help the caller.
    if (!(result.reason instanceof GraftError) || result.reason.retryable) throw result.reason;
    faults.push({ index, error: result.reason });
  }
  const first = faults[0];
  if (!first) return settled.map((result) => (result as PromiseFulfilledResult<R>).value);
  const errors = faults.map(({ index, error }): ErrorDetail => ({
    pointer: `${at(index)}${error.param === undefined ? '' : `/${error.param}`}`,
    code: error.code,
    detail: error.message,
  }));
  const detail = items.length === 1 ? first.error.message : `${first.error.message} (${faults.length} of ${items.length} inputs are refused.)`;
  throw new GraftError(first.error.code, detail, { errors, param: errors[0]?.pointer?.slice(1).replaceAll('/', '.') ?? 'inputs' });
}
