/**
 * Known or unknown: u(x) = best score + 2/D · similarity to the nearest enrolled example (centred by the background), with D the mean cosine
 * distance between enrolled examples. The threshold is the asked false-reject quantile of u over left-out known rows; while those are few it
 * leans on where the background lies.
 */
import type { OpenSetRule, Support } from '../../shared/head.ts';

/** The left-out evidence counts fully only well beyond this many rows: w = n / (n + this). */
const EVIDENCE_HALF_ROWS = 4;
/** With no evidence from the tenant's own rows, this part of the background is to be called unknown. */
const BACKGROUND_REJECTED = 0.6;

export const BEST_WEIGHT = 1;
/** Between 1 and 3 it hardly matters (AUROC within .006); the similarity alone is worse from 8 shots on, the score alone below. */
const NEAREST_WEIGHT = 2;
/** Examples that are all but the same say nothing about how far a stranger would be. */
const DISTANCE_MIN = 0.02;

/**
 * 2/D: data that lie close together (digits) differ by hundredths of a cosine, and with a fixed weight the similarity was not heard there.
 * D = 1 − (‖Σuᵢ‖² − n) / (n(n − 1)) over unit rows uᵢ: the mean over all pairs in O(nd). One row: D = 1.
 * @param units row-major [n × d], unit rows
 */
export function nearestWeight(units: Float32Array | Float64Array, n: number, d: number): number {
  if (n < 2) return NEAREST_WEIGHT;
  const sum = new Float64Array(d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) sum[j]! += units[i * d + j]!;
  let square = 0;
  for (const v of sum) square += v * v;
  const distance = 1 - (square - n) / (n * (n - 1));
  return NEAREST_WEIGHT / Math.max(DISTANCE_MIN, distance);
}

/** The weight of the similarity beside the head that carries this support; 0 where nothing is near. */
export const supportWeight = (support: Support | null): number =>
  support ? nearestWeight(support.rows, support.labelOf.length, support.dimension) : 0;

/** Empirical quantile with linear interpolation (type 7 of Hyndman & Fan 1996). */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const place = (sorted.length - 1) * q;
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (sorted[high]! - sorted[low]!) * (place - low);
}

/**
 * @param known u of left-out rows of the tenant (only rows whose class has another example)
 * @param background u of background rows
 * @param nearest the weight of the similarity in u
 * @param rejected the part of the background that is to be unknown while the tenant's own rows say nothing
 */
export function fitOpenSet(
  known: readonly number[],
  background: readonly number[],
  falseRejectRate: number,
  nearest: number,
  rejected = BACKGROUND_REJECTED,
): OpenSetRule {
  const weight = known.length / (known.length + EVIDENCE_HALF_ROWS);
  const fromKnown = known.length > 0 ? quantile(known, falseRejectRate) : Number.NaN;
  const fromBackground = background.length > 0 ? quantile(background, rejected) : Number.NaN;
  let threshold = -Infinity;
  if (known.length > 0 && background.length > 0) {
    // The promise is about known rows: the background may move the bar while evidence is thin, but not far above
    // what left-out known rows reach (which is low already: each was judged with one example fewer).
    const mixed = weight * fromKnown + (1 - weight) * fromBackground;
    threshold = Math.min(mixed, quantile(known, Math.max(2 * falseRejectRate, 0.1)));
  } else if (known.length > 0) threshold = fromKnown;
  else if (background.length > 0) threshold = fromBackground;
  // JSON has no infinity; u is a sum of bounded terms, so this accepts everything.
  if (!Number.isFinite(threshold)) threshold = -1e9;
  return { threshold, falseRejectRate, bestWeight: BEST_WEIGHT, nearestWeight: nearest };
}

/** The largest value, of as many as there are labels. */
export function largest(values: Float64Array): number {
  let best = -Infinity;
  for (const v of values) best = Math.max(best, v);
  return best;
}
