/**
 * Blend, do not pick. Each candidate is weighed by what it said about rows that it had not seen:
 *   w ∝ π exp(−β (lossₖ − min loss)),   π its prior,
 * with the left-out log-loss at the candidate's own temperature (pseudo-Bayesian model averaging by leave-one-out predictive density,
 * Yao et al. 2018, Using stacking to average Bayesian predictive distributions; β < 1 because the left-out losses of two candidates go together).
 */
import type { RidgeFit } from './ridge-fit.ts';

/** β: full strength picked too hard on few rows; measured with scikit-learn twins on emoji, digits and text (docs/decisions/0004). */
const SHARPNESS = 0.5;
/** Less than this is left out of the head and told as 0. */
const NEGLIGIBLE = 0.01;

/** Candidates of one `space` read the same features, so that they fold into one matrix. */
export type Candidate = {
  readonly name: string;
  readonly space: 'linear' | 'kernel';
  /** What it counts before there is evidence. */
  readonly prior: number;
  readonly fit: RidgeFit;
};
export type LinearMap = { readonly space: Candidate['space']; readonly weight: Float64Array; readonly bias: Float64Array };
export type Blended = {
  /** One linear map for each space that is heard; their sum is on the scale of the first candidate's scores. */
  readonly maps: readonly LinearMap[];
  readonly lambda: number;
  /** Row-major [judged rows × labels]. */
  readonly leftOut: Float64Array;
  readonly parts: readonly { readonly name: string; readonly weight: number; readonly lambda: number; readonly left_out_loss: number | null }[];
};

/** What left-out scores of so many rows are worth: the temperature that they ask for, and the log-loss of all rows there. */
export type Judge = { readonly rows: number; readonly of: (leftOut: Float64Array) => { readonly temperature: number; readonly loss: number } };

/** @param judge of the rows that the candidates were judged on. Without any, their weights are those before there is evidence. */
export function blend(candidates: readonly Candidate[], judge: Judge): Blended {
  const judged = candidates.map(({ fit }) => judge.of(fit.leftOut));
  const least = Math.min(...judged.map((j) => j.loss));
  const raw = judged.map((j, i) => candidates[i]!.prior * Math.exp(-SHARPNESS * (j.loss - least)));
  const sum = raw.reduce((a, b) => a + b, 0);
  const kept = raw.map((w) => (w / sum < NEGLIGIBLE ? 0 : w));
  const total = kept.reduce((a, b) => a + b, 0);
  const first = candidates[0]!.fit;
  const maps: LinearMap[] = [];
  const leftOut = new Float64Array(first.leftOut.length);
  const parts = candidates.map(({ name, space, fit }, i) => {
    const share = kept[i]! / total;
    // Another candidate's scores are louder or quieter: its temperature says by how much.
    const factor = share * (judged[0]!.temperature / judged[i]!.temperature);
    if (factor > 0) {
      let map = maps.find((m) => m.space === space);
      if (!map) maps.push((map = { space, weight: new Float64Array(fit.weight.length), bias: new Float64Array(fit.bias.length) }));
      for (let j = 0; j < map.weight.length; j++) map.weight[j]! += factor * fit.weight[j]!;
      for (let j = 0; j < map.bias.length; j++) map.bias[j]! += factor * fit.bias[j]!;
      for (let j = 0; j < leftOut.length; j++) leftOut[j]! += factor * fit.leftOut[j]!;
    }
    return { name, weight: share, lambda: fit.lambda, left_out_loss: judge.rows > 0 ? judged[i]!.loss / judge.rows : null };
  });
  return { maps, lambda: first.lambda, leftOut, parts };
}
