/**
 * Which examples are left out together: one of each class, so that what is left is as balanced as the whole. Left out alone, a row of two has a class of
 * one against classes of two; all that was fitted to such scores (penalty, blend, temperature, names) then trusted the examples too little, at two
 * shots so little that temperatures ran to their bound (docs/decisions/0004).
 */

/** Beyond this many rows a class several of it share a fold. */
const FOLDS_MAX = 32;

type Row = { readonly id: string; readonly labelsOf: readonly number[]; readonly base: Float32Array };

/** FNV-1a over the bits of an embedding: orders rows as if at random, but the same ones for the same embeddings. */
function digest({ buffer, byteOffset, length }: Float32Array): number {
  const bits = new Uint32Array(buffer, byteOffset, length);
  let hash = 0x811c9dc5;
  for (const word of bits) hash = Math.imul(hash ^ word, 0x01000193) ^ (hash >>> 15);
  return hash >>> 0;
}

/** By content: neither the order of enrolling nor ids matter, so a head equals one that never saw what was forgotten, weight by weight. */
export function byContent<R extends Row>(examples: readonly R[]): R[] {
  const order = new Map(examples.map((e) => [e, digest(e.base)]));
  return examples.toSorted((a, b) => order.get(a)! - order.get(b)! || (a.id < b.id ? -1 : 1));
}

/** The fold of each example; of several labels the first counts. What is alone in its class has a fold of its own. */
export function foldsOf(examples: readonly Row[]): Int32Array {
  const seen = new Map<number, number>();
  const fold = new Map<Row, number>();
  for (const e of byContent(examples)) {
    const c = e.labelsOf[0] ?? -1;
    fold.set(e, (seen.get(c) ?? 0) % FOLDS_MAX);
    seen.set(c, (seen.get(c) ?? 0) + 1);
  }
  return Int32Array.from(examples, (e, i) => (seen.get(e.labelsOf[0] ?? -1) === 1 ? FOLDS_MAX + i : fold.get(e)!));
}
