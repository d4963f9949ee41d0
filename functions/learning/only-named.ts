/** Heads while some labels have examples and others only their names (generalised zero-shot learning). */
import type { FeatureTransform } from '../../shared/head.ts';
import { transformFeature } from './features.ts';
import type { RidgeFit } from './ridge-fit.ts';
import { fitRidgeLeaveOneOut } from './ridge.ts';

/** Background rows that stand for the labels without an example. */
const CONTRAST_ROWS_MAX = 64;

type Given = {
  readonly labels: readonly string[];
  readonly examples: readonly { readonly labelsOf: readonly number[]; readonly base: Float32Array }[];
  readonly background: { readonly base: readonly Float32Array[] };
  readonly transform: FeatureTransform;
  readonly dimension: number;
};

/**
 * Ridge with background rows that have no label. Among the examples alone, a label without one is a constant −1, and the only label with one a constant
 * +1, whatever is shown; against the background an example says how its label looks. Labels without examples score what the others score on average on
 * the left-out background, instead of −1: calibrated stacking (Chao et al. 2016), so that their names decide about them.
 * Cost: O((n + 64)² d).
 */
export function fitAgainstBackground(given: Given, center: Float32Array): RidgeFit {
  const { examples, dimension } = given;
  const k = given.labels.length;
  const step = Math.max(1, Math.ceil(given.background.base.length / CONTRAST_ROWS_MAX));
  const contrast = given.background.base.filter((_, i) => i % step === 0);
  const rows = [...examples.map((e) => e.base), ...contrast];
  const x = new Float64Array(rows.length * dimension);
  for (const [i, row] of rows.entries()) transformFeature(row, given.transform, center, x, i * dimension);
  // A label without an example is −1 everywhere, and what ridge makes of that is not used: it need not be solved.
  const shown = [...new Set(examples.flatMap((e) => e.labelsOf))].toSorted((a, b) => a - b);
  const place = new Map(shown.map((c, to) => [c, to]));
  const labelsOf = [...examples.map((e) => e.labelsOf.map((c) => place.get(c)!)), ...contrast.map(() => [])];
  const fit = fitRidgeLeaveOneOut({ x, n: rows.length, d: dimension, labels: shown.length, labelsOf });

  let level = 0;
  for (let at = examples.length * shown.length; at < fit.leftOut.length; at++) level += fit.leftOut[at]! / (contrast.length * shown.length);
  const weight = new Float64Array(k * dimension);
  const bias = new Float64Array(k).fill(level);
  const leftOut = new Float64Array(examples.length * k).fill(level);
  for (const [from, c] of shown.entries()) {
    weight.set(fit.weight.subarray(from * dimension, (from + 1) * dimension), c * dimension);
    bias[c] = fit.bias[from]!;
    for (let i = 0; i < examples.length; i++) leftOut[i * k + c] = fit.leftOut[i * shown.length + from]!;
  }
  // Pictures of one kind are alike beside any background: the fewer labels have examples, the more of a label's score is that likeness.
  const share = shown.length / k;
  const scaled = (values: Float64Array): Float64Array => values.map((v) => share * v);
  return { weight: scaled(weight), bias: scaled(bias), lambda: fit.lambda, leftOut: scaled(leftOut) };
}
