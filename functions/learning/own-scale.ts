/**
 * Embeddings that callers bring have no background that says where their middle is and how far they spread: raw columns of a table differ by orders of
 * magnitude, embeddings of a network lie in a narrow cone and say much by how their values spread. So the classifier's own examples standardise them,
 *   x ↦ ((x − mean) · scale, c),   scaleⱼ ∝ vⱼ^(−w/2),
 * v the variance of each value and w between 0 (one scale for all, as among a network's values) and 1 (each value its own, as among columns).
 * - v of few rows is mostly chance: its logarithm is moved towards the mean of all by how much less it spreads than chance alone makes it (empirical
 *   Bayes, as limma moderates variances: Smyth 2004), the sampling variance of log v being ψ′((n − 1)/2).
 * - w is a mean over SHARES by the likelihood of left-out rows. Before there are any: 1 where hardly more than a few values make the distances.
 * - The constant c keeps how far a row is from the middle, which a cosine forgets. Lengths of few values differ much and say much, those of a network's
 *   values all but agree and a constant would only dull them: c = √(how much ‖z‖² varies about its mean of 1), at most 1.
 */
import type { Standardisation } from '../../shared/head.ts';
import { fitTemperature } from './calibration.ts';
import { candidatesFor } from './candidates.ts';
import { standardise } from './features.ts';
import { judgedRows } from './judged-rows.ts';
import { fitSigmoids } from './multi-label.ts';
import { speaksForMost, type LearnExample, type SolveInput } from './solve-head.ts';
import { chooseSupport, supportRows } from './support.ts';
import { balancedWeights } from './targets.ts';

const SHARES: readonly number[] = [0, 0.5, 1];
/** Each share costs a head of so many rows. */
const JUDGE_ROWS_MAX = 200;
const CONSTANT_MAX = 1;
/** (Σv)² / Σv²: how many values make the distances. So few of many are columns of a table, not a network's values. */
const FEW_VALUES = 5;
const FEW_OF = 4;

type Spread = {
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  /** log v less the mean of all log v, as far as it is more than chance; 0 where a value never changes. */
  readonly deviation: Float64Array;
};

/** Null while there is nothing to measure: one row, or rows that are all the same. Cost: O(nd), and three heads of at most JUDGE_ROWS_MAX rows. */
export function fitStandardisation(input: SolveInput): Standardisation | null {
  const spread = spreadOf(input);
  return spread && lens(input.examples, spread, shareOf(input, spread));
}

/** The same problem over standardised embeddings, which are one value longer; without a standardisation, the problem as it is. */
export function standardised(input: SolveInput, by: Standardisation | null): SolveInput {
  return by ? { ...input, dimension: input.dimension + 1, examples: standardisedRows(input.examples, by) } : input;
}

export function standardisedRows<R extends { readonly base: Float32Array }>(rows: readonly R[], by: Standardisation | null): readonly R[] {
  return by ? rows.map((row) => ({ ...row, base: standardise(by, row.base) })) : rows;
}

function spreadOf({ examples, labels, dimension: d }: SolveInput): Spread | null {
  const n = examples.length;
  // Labels count alike, however many examples they have.
  const weights = balancedWeights(
    examples.map((e) => e.labelsOf),
    labels.length,
  );
  const total = weights.reduce((a, b) => a + b, 0);
  const mean = new Float64Array(d);
  for (const [i, { base }] of examples.entries()) for (let j = 0; j < d; j++) mean[j]! += (weights[i]! * base[j]!) / total;
  const variance = new Float64Array(d);
  for (const { base } of examples) for (let j = 0; j < d; j++) variance[j]! += (base[j]! - mean[j]!) ** 2 / Math.max(1, n - 1);
  // Rounding makes constants vary a little.
  const varies = [...variance.keys()].filter((j) => variance[j]! > 1e-12 * mean[j]! ** 2 && variance[j]! > 0);
  if (n < 2 || varies.length === 0) return null;
  const logs = varies.map((j) => Math.log(variance[j]!));
  const middle = logs.reduce((a, b) => a + b, 0) / logs.length;
  const seen = logs.reduce((sum, v) => sum + (v - middle) ** 2, 0) / logs.length;
  const trust = Math.max(0, 1 - trigamma((n - 1) / 2) / Math.max(seen, Number.MIN_VALUE));
  const deviation = new Float64Array(d);
  for (const [i, j] of varies.entries()) deviation[j] = trust * (logs[i]! - middle);
  return { mean, variance, deviation };
}

/** Standardised rows have length 1 on average (root mean square). */
function lens(examples: readonly LearnExample[], { mean, deviation }: Spread, share: number): Standardisation {
  const scale = deviation.map((v) => Math.exp((-share * v) / 2));
  const squares = examples.map(({ base }) => mean.reduce((sum, m, j) => sum + ((base[j]! - m) * scale[j]!) ** 2, 0));
  const middle = squares.reduce((a, b) => a + b, 0) / squares.length;
  const variance = squares.reduce((sum, v) => sum + (v / middle - 1) ** 2, 0) / squares.length;
  const constant = Math.min(CONSTANT_MAX, variance ** 0.25);
  return { mean: Float32Array.from(mean), scale: Float32Array.from(scale, (s) => s / Math.sqrt(middle)), constant };
}

function shareOf(input: SolveInput, spread: Spread): number {
  const examples = supportRows(input.examples, JUDGE_ROWS_MAX);
  const k = input.labels.length;
  const multi = input.task === 'multi_label';
  const judged = judgedRows(examples, k, multi);
  const labelsOf = judged.map((i) => examples[i]!.labelsOf);
  if (!speaksForMost(labelsOf.flat(), examples)) return isTable(spread) ? 1 : 0;
  const losses = SHARES.map((share) => {
    const seen = standardised({ ...input, examples }, lens(examples, spread, share));
    const center = new Float32Array(seen.dimension);
    const chosen = chooseSupport(seen.examples, seen.transform, center, seen.dimension)!;
    const { fit } = candidatesFor(seen, center, chosen, judged, false)[0]!;
    if (multi) return fitSigmoids(fit.leftOut, labelsOf, k).loss;
    return fitTemperature(
      fit.leftOut,
      labelsOf.map((own) => own[0]!),
      k,
    ).loss;
  });
  const least = Math.min(...losses);
  const likely = losses.map((loss) => Math.exp(least - loss));
  const sum = likely.reduce((a, b) => a + b, 0);
  return SHARES.reduce((mean, share, i) => mean + (share * likely[i]!) / sum, 0);
}

function isTable({ variance }: Spread): boolean {
  const sum = variance.reduce((a, b) => a + b, 0);
  const squares = variance.reduce((a, b) => a + b * b, 0);
  const values = (sum / squares) * sum;
  return values < FEW_VALUES && values < variance.length / FEW_OF;
}

/** ψ′(x), x > 0: the recurrence up to 6 and the asymptotic series there (Abramowitz & Stegun 6.4.6 and 6.4.12). */
function trigamma(x: number): number {
  let sum = 0;
  let z = x;
  for (; z < 6; z++) sum += 1 / (z * z);
  const q = 1 / (z * z);
  return sum + 1 / z + q / 2 + (q / z) * (1 / 6 - q * (1 / 30 - q / 42));
}
