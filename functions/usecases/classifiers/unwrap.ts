/** A Durable Object answers refusals as values, because errors lose their class on the way; here they become errors again. */
import { GraftError } from '../../../shared/errors.ts';
import type { Failure, Outcome } from '../../domain/classifier-object.ts';

/** @param fields which field of the request is at fault, by the code of the refusal */
export function unwrap<T>(outcome: Outcome<T>, fields: Partial<Record<Failure['code'], string>> = {}): T {
  if (outcome.ok) return outcome.value;
  const { code, detail, evidence } = outcome;
  const field = fields[code];
  const at = field === undefined ? {} : { param: field, errors: [{ pointer: `/${field}`, code, detail }] };
  throw new GraftError(code, detail, { ...at, ...(evidence === undefined ? {} : { evidence }) });
}
