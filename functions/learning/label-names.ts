/**
 * The label's own name as a prior (Veeranna et al. 2016, zero-shot by label embeddings): cosine between the centred text and the centred, embedded
 * name or description. It fades with evidence, and names that say no more than guessing are not heard.
 */
import type { FeatureTransform, HeadComponent } from '../../shared/head.ts';
import { CAUTIOUS_BELIEF, logLoss, priorTemperature } from './calibration.ts';
import { transformFeature, unitFeature } from './features.ts';

/** Cosines to names spread about a quarter as much as ridge scores on ±1 targets do: this weight makes both equally loud. */
export const PRIOR_MIX = 4;
/** Ridge always keeps most of its say: left out of two examples it looks worse than it is, and larger shares won where they should not. */
const SHARES = [0, 0.125, 0.25, 0.375, 0.5, 0.625] as const;
/** The share of names that one example a class bears out. */
const ONE_SHOT_SHARE = 0.5;
/** The names must say this many nats more than guessing to be heard at half: odds of about 7 to 1 (docs/decisions/0004). */
const NAMES_COST = 2;

/** The prior as a linear component: rows are unit name vectors (zeros for labels without one). */
export function nameComponent(
  names: readonly (Float32Array | null)[],
  center: Float32Array,
  transform: FeatureTransform,
  dimension: number,
  mix: number,
): HeadComponent {
  const weight = new Float32Array(names.length * dimension);
  for (const [c, name] of names.entries()) if (name) weight.set(unitFeature(name, transform, center), c * dimension);
  return { embedding: 'base', name: 'label_names', transform, dimension, kernel: null, center, weight, bias: new Float32Array(names.length), mix };
}

/**
 * A label by what the last layer says of its words, the first `own` values. In the others, which tell how a text is written, it is a text like any other,
 * because a label is written like no text and nothing follows from that.
 * @param label about a unit vector, as `meanWording` makes it
 * @param usual the mean of the unit background rows
 */
export function inPlainStyle(label: Float32Array, own: number, usual: Float32Array): Float32Array {
  return Float32Array.from(label, (value, i) => (i < own ? value : usual[i]!));
}

/** The mean of the unit vectors of several wordings of one label. */
export function meanWording(embeddings: readonly Float32Array[]): Float32Array {
  const sum = new Float64Array(embeddings[0]?.length ?? 0);
  for (const embedding of embeddings) {
    const unit = transformFeature(embedding, 'l2', null);
    for (let i = 0; i < sum.length; i++) sum[i]! += unit[i]! / embeddings.length;
  }
  return Float32Array.from(sum);
}

/** The mean over labels of what each name scores on their examples, [labels]; `scores` row-major [examples × labels]. Classes weigh the same. */
export function levelsOfNames(scores: Float64Array, truth: readonly number[], labels: number): Float64Array {
  const counts = new Float64Array(labels);
  for (const c of truth) counts[c]! += 1;
  const shown = counts.reduce((sum, n) => sum + (n > 0 ? 1 : 0), 0);
  const levels = new Float64Array(labels);
  for (const [i, own] of truth.entries()) for (let c = 0; c < labels; c++) levels[c]! += scores[i * labels + c]! / (counts[own]! * shown);
  return levels;
}

/** Weights at share a: the louder side at full strength, min(1, 2 − 2a) for ridge and PRIOR_MIX · min(1, 2a) for names. */
export function mixesOf(share: number): { ridge: number; names: number } {
  return { ridge: Math.min(1, 2 - 2 * share), names: PRIOR_MIX * Math.min(1, 2 * share) };
}

/**
 * The names' share a. Shares are averaged, not picked, by the left-out likelihood of each, Σ a·e^(−loss) / Σ e^(−loss), and what comes out is
 * multiplied by the trust in the names alone, 1 / (1 + e^(NAMES_COST − gain)): gain is the log-likelihood of all examples under the names less that
 * of guessing. Left-out ridge is at its weakest where rows are few, so without this names that say nothing looked better than it.
 * While labels have nothing but their names, both are heard: the examples of other labels cannot say how much these names are worth. Left-out rows of
 * fewer than half of the labels do not choose the share.
 * @param all what the names say about every example of one label [rows × labels], and the labels of these rows
 * @param loss negative log-likelihood of left-out rows by their scores: a softmax's, or the sigmoids' of several labels, which rows of none bear on too
 * @param shown how many labels these rows have
 */
export function shareOfNames(given: {
  ridge: Float64Array;
  names: Float64Array;
  loss: (scores: Float64Array) => number;
  shown: number;
  labels: number;
  all: { names: Float64Array; truth: readonly number[] };
  onlyNamed?: boolean;
}): number {
  const { labels, all } = given;
  if (all.truth.length === 0) return 1;
  if (given.onlyNamed) return ONE_SHOT_SHARE;
  const loud = all.names.map((s) => s * PRIOR_MIX);
  const gain = all.truth.length * Math.log(labels) - logLoss(loud, all.truth, labels, priorTemperature(labels, CAUTIOUS_BELIEF));
  const trust = 1 / (1 + Math.exp(NAMES_COST - gain));
  if (2 * given.shown < labels) return ONE_SHOT_SHARE * trust;
  const losses = SHARES.map((a) => {
    const mix = mixesOf(a);
    const scores = given.ridge.map((s, i) => mix.ridge * s + mix.names * given.names[i]!);
    return given.loss(scores);
  });
  const least = Math.min(...losses);
  const odds = losses.map((loss) => Math.exp(least - loss));
  return (trust * SHARES.reduce<number>((sum, a, i) => sum + a * odds[i]!, 0)) / odds.reduce((x, y) => x + y, 0);
}
