/**
 * The polynomial kernel κ(a, b) = ((1 + cos(a, b)) / 2)^p on embeddings centred by the background, and ridge in its space. Its expansion has the linear
 * term and products of features up to degree p, so examples that lie near count more than far ones: Hellinger or L2 features with it gained one to two
 * points over the same ridge without it on pictures and on text (docs/decisions/0004). With all examples among the landmarks it is exact kernel ridge
 * regression (Saunders et al. 1998); with fewer it is the Nyström approximation (Williams & Seeger 2001).
 */
import { KERNEL_POWER, type KernelPower } from '../../shared/head.ts';
import { cholesky } from './linear-algebra.ts';
import type { RidgeFit } from './ridge-fit.ts';
import { fitRidgeLeaveOneOut } from './ridge.ts';
import type { Labelled } from './targets.ts';

/** On the diagonal, for landmarks that are all but the same. */
const JITTER = 1e-6;

/** cosines → κ, in place. */
export function kernelInPlace(cosines: Float64Array, power: KernelPower): Float64Array {
  // Powers of two by squaring all of them again and again: calls of the general power took as long as the cosines themselves, and a count of squares kept for
  // each value a third of that.
  for (let i = 0; i < cosines.length; i++) cosines[i] = 0.5 + 0.5 * cosines[i]!;
  for (let reached = 1; reached < power; reached *= 2) for (let i = 0; i < cosines.length; i++) cosines[i]! *= cosines[i]!;
  return cosines;
}

/** Unit rows, centred, that a kernel compares with, and what is made of them once. */
export type Landmarks = {
  /** Row-major [m × d]. */
  readonly rows: Float32Array;
  readonly m: number;
  readonly d: number;
  /** κ between them, [m × m]. */
  readonly kernel: Float64Array;
  /** L with L·Lᵀ = κ + JITTER·I, [m × m]. */
  readonly lower: Float64Array;
};

/** Of m unit rows to each other, [m × m]. */
export function cosinesBetween(rows: Float32Array, m: number, d: number): Float64Array {
  const cosines = new Float64Array(m * m);
  for (let i = 0; i < m; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let q = 0, a = i * d, b = j * d; q < d; q++, a++, b++) sum += rows[a]! * rows[b]!;
      cosines[i * m + j] = cosines[j * m + i] = sum;
    }
  return cosines;
}

/** Cost: O(m²d + m³). */
export function landmarksOf(rows: Float32Array, m: number, d: number): Landmarks {
  const kernel = kernelInPlace(cosinesBetween(rows, m, d), KERNEL_POWER);
  const lower = kernel.slice();
  for (let i = 0; i < m; i++) lower[i * m + i]! += JITTER;
  cholesky(lower, m);
  return { rows, m, d, kernel, lower };
}

export type KernelInput = Labelled & {
  readonly landmarks: Landmarks;
  /** κ of each example to each landmark, row-major [n × m]. */
  readonly similarity: Float64Array;
  readonly judged: readonly number[];
};

/** Solves L·z = row in place. */
function forward(l: Float64Array, m: number, z: Float64Array, at: number): void {
  for (let r = 0; r < m; r++) {
    let sum = z[at + r]!;
    for (let q = 0; q < r; q++) sum -= l[r * m + q]! * z[at + q]!;
    z[at + r] = sum / l[r * m + r]!;
  }
}

/** Solves Lᵀ·z = row in place. */
function backward(l: Float64Array, m: number, z: Float64Array, at: number): void {
  for (let r = m - 1; r >= 0; r--) {
    const value = (z[at + r]! /= l[r * m + r]!);
    for (let q = 0; q < r; q++) z[at + q]! -= l[r * m + q]! * value;
  }
}

/**
 * Ridge on ψ(x) = L⁻¹κ(x, landmarks), whose inner products are the kernel's; the penalty by leave-one-out. The weights, [labels × m], apply to κ itself:
 * W = W_ψ·L⁻¹. Cost: O(nm² + m³) beside the similarities.
 */
export function fitKernelRidge({ landmarks: { m, lower }, similarity, ...labelled }: KernelInput, lambdas?: readonly number[]): RidgeFit {
  const n = labelled.labelsOf.length;
  const x = similarity.slice();
  for (let i = 0; i < n; i++) forward(lower, m, x, i * m);
  const fit = fitRidgeLeaveOneOut({ ...labelled, x, n, d: m }, lambdas);
  const weight = fit.weight.slice();
  for (let c = 0; c < labelled.labels; c++) backward(lower, m, weight, c * m);
  return { ...fit, weight };
}
