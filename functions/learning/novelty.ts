/**
 * How far a stranger is from what was enrolled: the posterior variance of a Gaussian process with the head's kernel,
 *   v(x) = 1 − κ(x)ᵀ (K + λsI)⁻¹ κ(x) = 1 − ‖F κ(x)‖²,   F = L⁻¹, L·Lᵀ = K + λsI, s = 1 − mean of K
 * (Rasmussen & Williams 2006, eq. 2.26; one-class classification with it: Kemmler et al. 2013). Left out, v₋ᵢ = 1 / (FᵀF)ᵢᵢ − λs (there, eq. 5.12).
 * 0: as an enrolled example. 1: like nothing enrolled. It counts relatively to the spread s of what is enrolled, 2·v/s, so that data that lie close
 * together are told from strangers that lie close too. In AUROC it is one point above the similarity to the nearest example (docs/decisions/0004).
 */
import { cholesky } from './linear-algebra.ts';
import type { Landmarks } from './kernel.ts';

/** λ: a tenth of the spread, the penalty that left-out rows choose most. */
const NOISE = 0.1;
/** From 1 to 3 it hardly matters (AUROC within .005). */
const VARIANCE_WEIGHT = 2;
/** Examples that are all but the same say nothing about how far a stranger would be. */
const SPREAD_MIN = 0.02;

export type Novelty = { readonly factor: Float32Array; readonly weight: number; readonly noise: number };

/**
 * F [m × m], lower triangular, for `Support.factor`, and the weight 2/s of v. Cost: O(m³).
 * @param m over so many of the rows, the first ones
 */
export function fitNovelty({ kernel, m: all }: Pick<Landmarks, 'kernel' | 'm'>, m = all): Novelty {
  const k = new Float64Array(m * m);
  for (let r = 0; r < m; r++) k.set(kernel.subarray(r * all, r * all + m), r * m);
  let sum = 0;
  for (const v of k) sum += v;
  const s = m > 1 ? Math.max(SPREAD_MIN, 1 - sum / (m * m)) : 1;
  const noise = NOISE * s;
  for (let i = 0; i < m; i++) k[i * m + i]! += noise;
  cholesky(k, m);
  const factor = new Float32Array(m * m);
  const column = new Float64Array(m);
  for (let c = 0; c < m; c++) {
    for (let r = c; r < m; r++) {
      let value = r === c ? 1 : 0;
      for (let q = c; q < r; q++) value -= k[r * m + q]! * column[q]!;
      column[r] = value / k[r * m + r]!;
      factor[r * m + c] = column[r]!;
    }
  }
  return { factor, weight: VARIANCE_WEIGHT / s, noise };
}

/** How many rows F is over. */
export const sideOf = (factor: Float32Array): number => Math.sqrt(factor.length);

/** v(x) from κ(x), of which F reads the first m. */
export function variance(factor: Float32Array, kernel: Float64Array | Float32Array): number {
  const m = sideOf(factor);
  let left = 1;
  for (let r = 0, at = 0; r < m; r++, at += m) {
    let sum = 0;
    for (let c = 0; c <= r; c++) sum += factor[at + c]! * kernel[c]!;
    left -= sum * sum;
  }
  return left;
}

/** v of each of the rows that F is over as if it were not among them, [m]. */
export function leftOutVariances({ factor, noise }: Novelty): Float64Array {
  const m = sideOf(factor);
  const diagonal = new Float64Array(m);
  for (let r = 0; r < m; r++) for (let c = 0; c <= r; c++) diagonal[c]! += factor[r * m + c]! ** 2;
  return diagonal.map((a) => 1 / a - noise);
}
