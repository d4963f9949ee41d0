/**
 * Known or unknown: u(x) = best score − 2/s · v(x), with v the variance of novelty.ts. The threshold is the asked false-reject quantile of u over
 * left-out known rows; while those are few it leans on where the background lies.
 */
import type { OpenSetRule } from '../../shared/head.ts';

/** The left-out evidence counts fully only well beyond this many rows: w = n / (n + this). */
const EVIDENCE_HALF_ROWS = 4;
/** With no evidence from the tenant's own rows, this part of the background is to be called unknown. */
const BACKGROUND_REJECTED = 0.6;

export const BEST_WEIGHT = 1;

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
 * @param varianceWeight of v in u
 * @param rejected the part of the background that is to be unknown while the tenant's own rows say nothing
 */
export function fitOpenSet(
  known: readonly number[],
  background: readonly number[],
  falseRejectRate: number,
  varianceWeight: number,
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
  return { threshold, falseRejectRate, bestWeight: BEST_WEIGHT, varianceWeight };
}

/** The largest value, of as many as there are labels. */
export function largest(values: Float64Array): number {
  let best = -Infinity;
  for (const v of values) best = Math.max(best, v);
  return best;
}
