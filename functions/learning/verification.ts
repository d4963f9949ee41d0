/**
 * One-shot verification: is this an input of that label? The similarity to the label's examples is compared with what impostors reach: the background
 * and the examples of other labels, measured in exactly the same way.
 *
 * While impostors are many enough the threshold is counted: with the k-th most similar of m impostors as the threshold, an exchangeable further one
 * passes with probability at most k / (m + 1) (the conformal argument of Vovk et al. 2005). Below a rate of 1 / (m + 1) there is nothing to count, and
 * the tail is extrapolated: excesses over a high threshold follow a generalised Pareto distribution (Pickands 1975). A cosine ends at 1, so with
 * z = −log(1 − similarity) that tail is exponential and one number, its rate, is left to learn (Hill 1975); z has no end, so the threshold stays below 1.
 */

/** So many of a label's most similar examples are averaged: one odd example must not decide alone. */
const NEAREST_ROWS = 3;
/** The upper tenth counts as the tail (DuMouchel 1983), and at least so many. */
const TAIL_SHARE = 0.1;
const TAIL_MIN = 5;
/** What is believed of the tail before any impostor was seen: a gamma prior on its rate, worth two impostors whose excesses add up to this. */
const PRIOR_ROWS = 2;
const PRIOR_EXCESS = 0.6;
/** Without any impostor: half of them would lie below this. */
const PRIOR_MIDDLE = 0;
/** 1 − similarity of two copies of one input is rounding. */
const SMALLEST_GAP = 1e-12;

/** Mean cosine between the unit vector `x` and the most similar NEAREST_ROWS of the unit vectors `rows` (all of them when they are fewer). */
export function similarityToRows(x: ArrayLike<number>, rows: readonly ArrayLike<number>[]): number {
  const best = new Float64Array(Math.min(NEAREST_ROWS, rows.length)).fill(-Infinity);
  for (const row of rows) {
    let cosine = 0;
    for (let i = 0; i < x.length; i++) cosine += x[i]! * row[i]!;
    // `best` is in descending order.
    for (let at = 0; at < best.length; at++) {
      if (cosine <= best[at]!) continue;
      best.copyWithin(at + 1, at);
      best[at] = cosine;
      break;
    }
  }
  let sum = 0;
  for (const cosine of best) sum += cosine;
  return sum / best.length;
}

export type VerificationThreshold = {
  /** An input matches when its similarity is above this. */
  readonly threshold: number;
  /** Whether the rate was counted (true) or extrapolated beyond what the impostors can show. */
  readonly promised: boolean;
};

/**
 * The similarity that an impostor passes with probability at most `falseAcceptRate`.
 * @param impostors similarities of impostors, in descending order; may be empty
 */
export function verificationThreshold(impostors: ArrayLike<number>, falseAcceptRate: number): VerificationThreshold {
  const m = impostors.length;
  // The hair keeps 0.01 · 100 from becoming 0.
  const counted = Math.floor(falseAcceptRate * (m + 1) + 1e-9);
  if (counted >= 1) return { threshold: impostors[Math.min(counted, m) - 1] ?? 1, promised: true };
  return { threshold: extrapolate(impostors, falseAcceptRate), promised: false };
}

/**
 * The quantile of the posterior predictive of the tail: with k excesses adding up to S, P(excess > y) = (1 + y / S)^−k, so what is uncertain about the
 * rate makes the threshold higher instead of being ignored. Never below the most similar impostor.
 */
function extrapolate(impostors: ArrayLike<number>, falseAcceptRate: number): number {
  const m = impostors.length;
  const k = Math.max(0, Math.min(m - 1, Math.max(TAIL_MIN, Math.ceil(TAIL_SHARE * m))));
  const z = (i: number): number => -Math.log(Math.max(SMALLEST_GAP, 1 - impostors[i]!));
  const from = m === 0 ? PRIOR_MIDDLE : z(k);
  let excess = PRIOR_EXCESS;
  for (let i = 0; i < k; i++) excess += z(i) - from;
  const above = m === 0 ? 0.5 : (k + 1) / (m + 1);
  const at = from + excess * ((falseAcceptRate / above) ** (-1 / (k + PRIOR_ROWS)) - 1);
  return Math.max(1 - Math.exp(-at), impostors[0] ?? -1);
}
