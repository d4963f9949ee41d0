/** The enrolled examples that travel with a head, for `nearest` and the open-set rule. */
import type { FeatureTransform, Support } from '../../shared/head.ts';
import { normaliseInPlace, transformFeature } from './features.ts';

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

/** By id, so that the order of enrolling does not matter. */
function supportRows<R extends Row>(examples: readonly R[]): R[] {
  const sorted = examples.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return takeTurns(
    sorted.map((e) => e.labelsOf[0] ?? 0),
    SUPPORT_ROWS_MAX,
  ).map((i) => sorted[i]!);
}

/** SUPPORT_ROWS_MAX rows at most; null without examples. */
export function chooseSupport(examples: readonly Row[], transform: FeatureTransform, center: Float32Array, dimension: number): Support | null {
  if (examples.length === 0) return null;
  const chosen = supportRows(examples);
  const rows = new Float32Array(chosen.length * dimension);
  for (const [to, e] of chosen.entries()) {
    const x = transformFeature(e.base, transform, center);
    normaliseInPlace(x);
    rows.set(x, to * dimension);
  }
  return { embedding: 'base', transform, dimension, center, rows, labelOf: Int32Array.from(chosen, (e) => e.labelsOf[0] ?? 0) };
}

/** Per judged example: cosine to the nearest support row that is not itself (0 without one), which is what a prediction is compared with. */
export function leftOutSimilarity(judged: readonly Row[], examples: readonly Row[], support: Support): Float64Array {
  const ids = supportRows(examples).map((e) => e.id);
  return Float64Array.from(judged, (e) => {
    const x = transformFeature(e.base, support.transform, support.center);
    normaliseInPlace(x);
    let best = -Infinity;
    for (const [r, id] of ids.entries()) {
      if (id === e.id) continue;
      let sum = 0;
      const at = r * x.length;
      for (let i = 0; i < x.length; i++) sum += x[i]! * support.rows[at + i]!;
      if (sum > best) best = sum;
    }
    return Number.isFinite(best) ? best : 0;
  });
}
