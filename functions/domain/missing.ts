/** The one wording for an object that does not exist or belongs to somebody else: callers cannot tell these apart. */
import { GraftError } from '../../shared/errors.ts';

export function missing(kind: string, id: string): GraftError {
  return new GraftError('not_found', `There is no ${kind} "${id.slice(0, 200)}".`);
}
