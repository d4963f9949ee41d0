/**
 * The label's own name as a prior (Veeranna et al. 2016, zero-shot by label embeddings): cosine between the centred text and the centred, embedded
 * name or description. It fades with evidence: its weight maximises the left-out likelihood of the examples, and names that mislead get none.
 */
import type { FeatureTransform, HeadComponent } from '../../shared/head.ts';
import { fitTemperature, logLoss, priorTemperature } from './calibration.ts';
import { normaliseInPlace, transformFeature } from './features.ts';

/** Cosines to names spread about a quarter as much as ridge scores on ±1 targets do: this weight makes both equally loud. */
export const PRIOR_MIX = 4;
const MIXES = [0, 0.25, 0.5, 1, 2, 4, 8, 16] as const;

function unitNames(names: readonly (Float32Array | null)[], center: Float32Array, transform: FeatureTransform): (Float64Array | null)[] {
  return names.map((name) => {
    if (!name) return null;
    const x = transformFeature(name, transform, center);
    normaliseInPlace(x);
    return x;
  });
}

/** The prior as a linear component: rows are unit name vectors (zeros for labels without one). */
export function nameComponent(
  names: readonly (Float32Array | null)[],
  center: Float32Array,
  transform: FeatureTransform,
  dimension: number,
  mix: number,
): HeadComponent {
  const weight = new Float32Array(names.length * dimension);
  for (const [c, name] of unitNames(names, center, transform).entries()) if (name) weight.set(name, c * dimension);
  return { embedding: 'base', name: 'label_names', transform, dimension, center, weight, bias: new Float32Array(names.length), mix };
}

/** What the names alone say about each example, row-major [examples × labels]. */
export function nameScores(
  examples: readonly { readonly base: Float32Array }[],
  names: readonly (Float32Array | null)[],
  center: Float32Array,
  transform: FeatureTransform,
): Float64Array {
  const unit = unitNames(names, center, transform);
  const out = new Float64Array(examples.length * names.length);
  for (const [i, e] of examples.entries()) {
    const x = transformFeature(e.base, transform, center);
    for (const [c, name] of unit.entries()) {
      if (!name) continue;
      let sum = 0;
      for (let j = 0; j < x.length; j++) sum += x[j]! * name[j]!;
      out[i * names.length + c] = sum;
    }
  }
  return out;
}

/**
 * The weight of the names beside ridge scores. A prior on it was measured and dropped: it won nothing where names are good and cost 1 to 3 points where
 * they mislead. Without left-out rows the examples still judge the names: worse than guessing, and the names are not heard.
 * @param all what the names say about every example [rows × labels], and the labels of these rows
 */
export function mixNames(given: {
  ridge: Float64Array;
  names: Float64Array;
  truth: readonly number[];
  labels: number;
  all: { names: Float64Array; truth: readonly number[] };
}): number {
  const { labels, all } = given;
  if (given.truth.length === 0) {
    const loss = logLoss(
      all.names.map((s) => s * PRIOR_MIX),
      all.truth,
      labels,
      priorTemperature(labels),
    );
    return loss <= all.truth.length * Math.log(labels) ? PRIOR_MIX : 0;
  }
  let best: number = PRIOR_MIX;
  let least = Infinity;
  for (const mix of MIXES) {
    const scores = given.ridge.map((s, i) => s + mix * given.names[i]!);
    const { loss } = fitTemperature(scores, given.truth, labels);
    if (loss < least) [least, best] = [loss, mix];
  }
  return best;
}
