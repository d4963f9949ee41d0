/** Wordings for what there is not. */
import { GraftError } from '../../shared/errors.ts';

/** For an object that does not exist or belongs to somebody else: callers cannot tell these apart. */
export function missing(kind: string, id: string): GraftError {
  return new GraftError('not_found', `There is no ${kind} "${id.slice(0, 200)}".`);
}

/** For a version that is asked for by its number and has no head. */
export function headless(n: number): GraftError {
  const detail =
    `Version ${n} has nothing to answer with: it had no labels or examples, or it lost its head when an example that it had seen was deleted. ` +
    'Activating it solves it again without that example.';
  return new GraftError('nothing_to_predict', detail);
}
