/** The enrolled examples that travel with a head, for `nearest` and the open-set rule. */
import type { FeatureTransform, Support } from '../../shared/head.ts';
import { normaliseInPlace, transformFeature } from './features.ts';

/** At 1,280 dimensions this is 2.6 MB in an isolate's head cache. */
export const SUPPORT_ROWS_MAX = 512;

type Row = { readonly id: string; readonly labelsOf: readonly number[]; readonly base: Float32Array };

/** Classes take turns (by id, so that the order of enrolling does not matter) until SUPPORT_ROWS_MAX rows are chosen; null without examples. */
export function chooseSupport(examples: readonly Row[], transform: FeatureTransform, center: Float32Array, dimension: number): Support | null {
  if (examples.length === 0) return null;
  const sorted = examples.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const seen = new Map<number, number>();
  const turn = sorted.map((e) => {
    const c = e.labelsOf[0] ?? 0;
    const t = (seen.get(c) ?? 0) + 1;
    seen.set(c, t);
    return t;
  });
  const chosen = [...sorted.keys()].toSorted((a, b) => turn[a]! - turn[b]! || a - b).slice(0, SUPPORT_ROWS_MAX);
  const rows = new Float32Array(chosen.length * dimension);
  for (const [to, from] of chosen.entries()) {
    const x = transformFeature(sorted[from]!.base, transform, center);
    normaliseInPlace(x);
    rows.set(x, to * dimension);
  }
  return { embedding: 'base', transform, dimension, center, rows, labelOf: Int32Array.from(chosen, (i) => sorted[i]!.labelsOf[0] ?? 0) };
}

/** Per example: cosine to its nearest other example (0 when it is alone). O(n²d). */
export function leftOutSimilarity(
  examples: readonly { readonly base: Float32Array }[],
  transform: FeatureTransform,
  center: Float32Array,
): Float64Array {
  const unit = examples.map((e) => {
    const x = transformFeature(e.base, transform, center);
    normaliseInPlace(x);
    return x;
  });
  const best = new Float64Array(examples.length).fill(examples.length > 1 ? -Infinity : 0);
  for (let i = 0; i < unit.length; i++) {
    for (let j = 0; j < i; j++) {
      let sum = 0;
      const a = unit[i]!;
      const b = unit[j]!;
      for (let q = 0; q < a.length; q++) sum += a[q]! * b[q]!;
      if (sum > best[i]!) best[i] = sum;
      if (sum > best[j]!) best[j] = sum;
    }
  }
  return best;
}
