/**
 * Ridge in the metric of the background: directions in which all pictures of the world differ count less, so that what is particular to the tenant's
 * data counts more (within-class whitening with a general covariance; compare WCCN, Hatch & Stolcke 2006, and ZCA). Σ = γτI + (1 − γ)BᵀB/(m − 1) with
 * centred background rows B [m × d] and mean variance τ. By Woodbury only an m × m system is solved:
 *   Σ⁻¹ = (1/a)(I − Bᵀ A⁻¹ B),  A = (a/c) I + BBᵀ,  a = γτ,  c = (1 − γ)/(m − 1).
 * The result is linear in the same features as plain ridge, so both fold into one matrix.
 */
import { fitOverProducts } from './dual-ridge.ts';
import { cholesky, choleskySolve, gram } from './linear-algebra.ts';
import { LAMBDAS } from './penalty.ts';
import type { RidgeFit, RidgeInput } from './ridge-fit.ts';

/** γ: how much of the identity is mixed in; the background has far fewer rows than dimensions. */
const SHRINKAGE = 0.3;
/** Beyond this many rows the tenant's own covariance, which plain ridge sees, says more than the background's. */
export const WHITENED_ROWS_MAX = 256;

export type Whitener = { readonly rows: Float64Array; readonly m: number; readonly d: number; readonly factor: Float64Array; readonly a: number };

/** @param rows background features [m × d], centred. Null when there are too few or they do not differ. */
export function makeWhitener(rows: Float64Array, m: number, d: number): Whitener | null {
  if (m < 2) return null;
  let squares = 0;
  for (const v of rows) squares += v * v;
  const tau = squares / ((m - 1) * d);
  if (!(tau > 0)) return null;
  const a = SHRINKAGE * tau;
  const factor = gram(rows, m, d);
  for (let i = 0; i < m; i++) factor[i * m + i]! += (a * (m - 1)) / (1 - SHRINKAGE);
  cholesky(factor, m);
  return { rows, m, d, factor, a };
}

/** X·Bᵀ, [n × m]. */
function project(w: Whitener, x: Float64Array, n: number): Float64Array {
  const { rows, m, d } = w;
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < m; j++) {
      let sum = 0;
      for (let q = 0, p = i * d, r = j * d; q < d; q++, p++, r++) sum += x[p]! * rows[r]!;
      out[i * m + j] = sum;
    }
  return out;
}

/** X·Σ⁻¹·Xᵀ up to the factor 1/a, which the scale takes out again. */
function whitenedKernel(w: Whitener, x: Float64Array, n: number): Float64Array {
  const { m } = w;
  const p = project(w, x, n);
  const half = new Float64Array(m * n);
  // L⁻¹ P ᵀ: with A = L·Lᵀ the correction is its Gram matrix.
  for (let i = 0; i < n; i++)
    for (let r = 0; r < m; r++) {
      let sum = p[i * m + r]!;
      for (let q = 0; q < r; q++) sum -= w.factor[r * m + q]! * half[i * m + q]!;
      half[i * m + r] = sum / w.factor[r * m + r]!;
    }
  const kernel = gram(x, n, w.d);
  const less = gram(half, n, m);
  return kernel.map((v, i) => v - less[i]!);
}

/** Ridge with the penalty of least left-out error in the whitened metric; the weights apply to unwhitened features. */
export function fitWhitened(input: RidgeInput, w: Whitener): RidgeFit {
  const { d, labels: k } = input;
  const fit = fitOverProducts(input, whitenedKernel(w, input.x, input.n), LAMBDAS);
  // Σ⁻¹ from the other side: W = V − (V·Bᵀ) A⁻¹ B.
  const weight = fit.weight.slice();
  const p = project(w, weight, k);
  const columns = new Float64Array(w.m * k);
  for (let c = 0; c < k; c++) for (let r = 0; r < w.m; r++) columns[r * k + c] = p[c * w.m + r]!;
  choleskySolve(w.factor, w.m, columns, k);
  for (let r = 0; r < w.m; r++)
    for (let c = 0; c < k; c++) {
      const f = columns[r * k + c]!;
      for (let j = 0; j < d; j++) weight[c * d + j]! -= f * w.rows[r * d + j]!;
    }
  return { ...fit, weight };
}
