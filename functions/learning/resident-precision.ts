/**
 * What rows of shorts (simd/build/shorts.c) may change in a head's answer, before any is asked for: a value is off by at most half a step, all of them
 * independently, so a product of two such rows of norm 1 has the standard deviation step · √(2/12). Measured beside real heads, the largest difference of
 * a probability is .3 to .9 of the standard deviation told here (docs/decisions/0006).
 */
import { KERNEL_POWER, type Head, type HeadComponent, type Support } from '../../shared/head.ts';

/** Standard deviation of a score over the temperature, and of the margin between known and unknown, up to which a part of a head may be shorts. */
export const ERROR_MAX = 1e-4;
const ERROR_OF_STEP = Math.sqrt(2 / 12);
/** Products of floats err like shorts of this step, measured on heads whose examples are all but the same. */
export const STEP_OF_FLOATS = 2 ** -26;

/** Of a score over the temperature; the sigmoid of several labels takes twice that. */
const perScore = ({ mix }: HeadComponent, { temperature, task }: Head): number => (Math.abs(mix) * (task === 'multi_label' ? 2 : 1)) / temperature;

/** Per step, with the weights of a linear component as shorts. Features are unit vectors. */
export const errorOfWeights = (component: HeadComponent, head: Head): number => ERROR_OF_STEP * perScore(component, head);

/**
 * Per step, with the kept examples as shorts, or the directions that they are written in. The kernel passes an error on by its slope
 * κ'(c) = p/2 · ((1 + c)/2)^(p−1), taken at the mean cosine between the examples, and a class by the norm of its weights; the margin by 2·w·κ'(1), w being
 * the weight of the variance. An error in a direction is one in all examples at once, by their coordinates: a class passes it on by the norm of its weights
 * times these, if that is more.
 */
export function errorOfSupport(support: Support, head: Head): number {
  const slope = (power: number, cosine: number): number => (power / 2) * ((1 + cosine) / 2) ** (power - 1);
  const cosine = meanCosine(support);
  const scores = head.components
    .filter((c) => c.kernel)
    .map((c) => passedOn(c.weight, head.labels.length, support) * slope(c.kernel!.power, cosine) * perScore(c, head));
  const margin = 2 * (head.openSet?.varianceWeight ?? 0) * slope(KERNEL_POWER, 1);
  return ERROR_OF_STEP * Math.max(Math.hypot(...scores), margin);
}

/** Of all pairs of rows: ‖their mean‖². */
function meanCosine({ rows, labelOf }: Support): number {
  const mean = new Float64Array(rows.length / labelOf.length);
  for (let r = 0, at = 0; r < labelOf.length; r++) for (let i = 0; i < mean.length; i++, at++) mean[i]! += rows[at]! / labelOf.length;
  return mean.reduce((sum, v) => sum + v * v, 0);
}

function passedOn(weight: Float32Array, labels: number, { basis, rows, labelOf }: Support): number {
  const alone = largestNorm(weight, labels);
  if (!basis) return alone;
  const [m, width] = [labelOf.length, rows.length / labelOf.length];
  const together = new Float32Array(labels * width);
  for (let c = 0; c < labels; c++)
    for (let r = 0; r < m; r++) for (let i = 0; i < width; i++) together[c * width + i]! += weight[c * m + r]! * rows[r * width + i]!;
  return Math.max(alone, largestNorm(together, labels));
}

function largestNorm(weight: Float32Array, rows: number): number {
  const columns = weight.length / rows;
  let largest = 0;
  for (let r = 0, at = 0; r < rows; r++) {
    let squares = 0;
    for (let i = 0; i < columns; i++, at++) squares += weight[at]! * weight[at]!;
    largest = Math.max(largest, squares);
  }
  return Math.sqrt(largest);
}
