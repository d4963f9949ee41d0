/**
 * The label's own name as a prior (Veeranna et al. 2016, zero-shot by label embeddings): cosine between the centred text and the centred, embedded
 * name or description. It fades with evidence: its weight maximises the left-out likelihood of the examples under a log-normal prior.
 */
import type { FeatureTransform, HeadComponent } from '../../shared/head.ts';
import { fitTemperature } from './calibration.ts';
import { normaliseInPlace, transformFeature } from './features.ts';

/** Cosines to names spread about a quarter as much as ridge scores on ±1 targets do: this weight makes both equally loud. */
export const PRIOR_MIX = 4;
const MIXES = [0.25, 0.5, 1, 2, 4, 8, 16] as const;
/** Strength of the prior on the logarithm of the weight, in rows. */
const PRIOR_STRENGTH = 1;

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

/** The weight of the names beside ridge scores. Without left-out rows: the prior weight. */
export function mixNames(given: { ridge: Float64Array; names: Float64Array; truth: readonly number[]; labels: number; examples: number }): number {
  if (given.truth.length === 0) return PRIOR_MIX;
  let best: number = PRIOR_MIX;
  let least = Infinity;
  for (const mix of MIXES) {
    const scores = given.ridge.map((s, i) => s + mix * given.names[i]!);
    const loss = fitTemperature(scores, given.truth, given.labels).loss + (PRIOR_STRENGTH / 2) * Math.log(mix / PRIOR_MIX) ** 2;
    if (loss < least) [least, best] = [loss, mix];
  }
  return best;
}
