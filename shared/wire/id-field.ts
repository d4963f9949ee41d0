/** An id of ours in a body. */
import { z } from 'zod';
import { ID_PREFIXES, idPattern, type IdKind } from '../ids.ts';

/** A fault says what an id looks like, in words and not as a regular expression. */
export function idField(kind: IdKind) {
  return z.string().regex(idPattern(kind), `This is not the id of a ${kind}, which begins with "${ID_PREFIXES[kind]}_" and has 26 characters more.`);
}
