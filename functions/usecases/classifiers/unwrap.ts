/** A Durable Object answers refusals as values, because errors lose their class on the way; here they become errors again. */
import { GraftError } from '../../../shared/errors.ts';
import type { Outcome } from '../../domain/classifier-object.ts';

export function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw new GraftError(outcome.code, outcome.detail, outcome.evidence === undefined ? {} : { evidence: outcome.evidence });
}
