/** Work on each of several inputs, with every fault told at its pointer instead of only the first. */
import { GraftError, type ErrorDetail } from '../../../shared/errors.ts';
import { Breather } from '../../inference/breather.ts';

/**
 * All results in order, one input after the other. When some fail, throws one error: the code of the first that failed, `errors` for all of them, and
 * nothing else happened.
 * @param at JSON pointer of an item, such as `/examples/3`
 */
export async function eachInput<T, R>(items: readonly T[], at: (index: number) => string, work: (item: T) => Promise<R>): Promise<R[]> {
  const breather = new Breather();
  const results: R[] = [];
  const faults: { index: number; error: GraftError }[] = [];
  for (const [index, item] of items.entries()) {
    if (index > 0) await breather.breathe();
    try {
      results.push(await work(item));
    } catch (error) {
      // Not the input's fault: no list of faults would help the caller.
      if (!(error instanceof GraftError) || error.retryable) throw error;
      faults.push({ index, error });
    }
  }
  const first = faults[0];
  if (!first) return results;
  const errors = faults.map(({ index, error }): ErrorDetail => ({
    pointer: `${at(index)}${error.param === undefined ? '' : `/${error.param}`}`,
    code: error.code,
    detail: error.message,
  }));
  const detail = items.length === 1 ? first.error.message : `${first.error.message} (${faults.length} of ${items.length} inputs are refused.)`;
  throw new GraftError(first.error.code, detail, { errors, param: errors[0]?.pointer?.slice(1).replaceAll('/', '.') ?? 'inputs' });
}
