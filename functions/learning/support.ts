/** The enrolled examples that travel with a head, for `nearest` and the open-set rule. */
import type { FeatureTransform, Support } from '../../shared/head.ts';
import { normaliseInPlace, transformFeature } from './features.ts';
import { fitNovelty, type Novelty } from './novelty.ts';

/** At 1,280 dimensions this is 2.6 MB in an isolate's head cache. */
export const SUPPORT_ROWS_MAX = 512;

type Row = { readonly id: string; readonly labelsOf: readonly number[]; readonly base: Float32Array };

/** Places of at most `limit` rows; classes take turns, in the order of the rows, so that the small ones stay whole. */
export function takeTurns(classOf: readonly number[], limit: number): number[] {
  if (classOf.length <= limit) return [...classOf.keys()];
  const seen = new Map<number, number>();
  const turn = classOf.map((c) => {
    const t = (seen.get(c) ?? 0) + 1;
    seen.set(c, t);
    return t;
  });
  return [...classOf.keys()].toSorted((a, b) => turn[a]! - turn[b]! || a - b).slice(0, limit);
}

/** FNV-1a over the bits of an embedding: draws rows as if at random, but the same ones for the same embeddings. */
function digest({ buffer, byteOffset, length }: Float32Array): number {
  const bits = new Uint32Array(buffer, byteOffset, length);
  let hash = 0x811c9dc5;
  for (const word of bits) hash = Math.imul(hash ^ word, 0x01000193) ^ (hash >>> 15);
  return hash >>> 0;
}

/** By content: neither the order of enrolling nor ids matter, so a head equals one that never saw what was forgotten, weight by weight. */
function supportRows<R extends Row>(examples: readonly R[]): R[] {
  const order = new Map(examples.map((e) => [e, digest(e.base)]));
  const sorted = examples.toSorted((a, b) => order.get(a)! - order.get(b)! || (a.id < b.id ? -1 : 1));
  return takeTurns(
    sorted.map((e) => e.labelsOf[0] ?? 0),
    SUPPORT_ROWS_MAX,
  ).map((i) => sorted[i]!);
}

/** SUPPORT_ROWS_MAX rows at most, and which they are; null without examples. */
export function chooseSupport(
  examples: readonly Row[],
  transform: FeatureTransform,
  center: Float32Array,
  dimension: number,
): { readonly support: Support; readonly novelty: Novelty; readonly ids: readonly string[] } | null {
  if (examples.length === 0) return null;
  const chosen = supportRows(examples);
  const rows = new Float32Array(chosen.length * dimension);
  for (const [to, e] of chosen.entries()) {
    const x = transformFeature(e.base, transform, center);
    normaliseInPlace(x);
    rows.set(x, to * dimension);
  }
  const novelty = fitNovelty(rows, chosen.length, dimension);
  const labelOf = Int32Array.from(chosen, (e) => e.labelsOf[0] ?? 0);
  const support: Support = { embedding: 'base', transform, dimension, center, rows, labelOf, factor: novelty.factor };
  return { support, novelty, ids: chosen.map((e) => e.id) };
}
