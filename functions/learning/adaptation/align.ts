/**
 * Maps of source features to a target domain, in closed form. All are affine, so the head that is solved on the mapped examples reads target inputs
 * with nothing but another centre: z = φ(x) − offset.
 *
 * - centre: both domains lose their mean (the first moment of CORAL; compare Li et al. 2018, AdaBN).
 * - coral: x ↦ (x − μs)·Cs^−½·Ct^½ (Sun, Feng & Saenko 2016, Return of frustratingly easy domain adaptation).
 */
import { gram } from '../linear-algebra.ts';
import { symmetricEigen } from '../symmetric-eigen.ts';

/** Row-major [n × d]. */
export type Rows = { readonly x: Float64Array; readonly n: number; readonly d: number };
/** γ: the part of the identity in a covariance of fewer rows than dimensions. */
const SHRINKAGE = 0.2;
/** Covariances are read off at most this many rows: the eigenvectors of their Gram matrix cost n³. */
const COVARIANCE_ROWS_MAX = 200;

/** Σ wᵢxᵢ / Σ wᵢ; without weights the plain mean. */
export function meanOf({ x, n, d }: Rows, weights: ArrayLike<number> | null = null): Float64Array {
  const mean = new Float64Array(d);
  let total = 0;
  for (let i = 0; i < n; i++) {
    const w = weights ? weights[i]! : 1;
    total += w;
    for (let j = 0; j < d; j++) mean[j]! += w * x[i * d + j]!;
  }
  return total > 0 ? mean.map((v) => v / total) : mean;
}

/** Rows minus `mean`. */
export function centred({ x, n, d }: Rows, mean: Float64Array): Rows {
  const out = new Float64Array(n * d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) out[i * d + j] = x[i * d + j]! - mean[j]!;
  return { x: out, n, d };
}

/**
 * (γτI + (1 − γ)C)^p applied to rows, with C = XᵀX / n of rank r ≤ n: outside the span of X the power is (γτ)^p, inside it is that of each eigenvalue.
 * So 1,280 dimensions cost n³ + n²d, never d³.
 */
type Power = (rows: Rows, p: number) => Float64Array;

function covariancePower(of: Rows): Power {
  const { x, n, d } = pickRows(of, evenly([...Array(of.n).keys()], COVARIANCE_ROWS_MAX));
  const { values, vectors } = symmetricEigen(gram(x, n, d), n);
  let trace = 0;
  for (const value of values) trace += value / n;
  const floor = (SHRINKAGE * trace) / d;
  const kept = [...values.keys()].filter((r) => values[r]! > 1e-10 * trace * n);
  // Right singular vectors: v_r = Xᵀu_r / √λ_r.
  const basis = new Float64Array(kept.length * d);
  for (const [to, r] of kept.entries()) {
    const scale = 1 / Math.sqrt(values[r]!);
    for (let i = 0; i < n; i++) {
      const f = vectors[i * n + r]! * scale;
      for (let j = 0; j < d; j++) basis[to * d + j]! += f * x[i * d + j]!;
    }
  }
  return (rows, p) => {
    const outside = floor > 0 ? floor ** p : 1;
    const out = rows.x.map((v) => v * outside);
    for (const [q, r] of kept.entries()) {
      const more = (((1 - SHRINKAGE) * values[r]!) / n + floor) ** p - outside;
      for (let i = 0; i < rows.n; i++) {
        let along = 0;
        for (let j = 0; j < d; j++) along += rows.x[i * d + j]! * basis[q * d + j]!;
        const f = more * along;
        for (let j = 0; j < d; j++) out[i * d + j]! += f * basis[q * d + j]!;
      }
    }
    return out;
  };
}

/** Source rows with the covariance of the target, [n × d]; both must be without their means. */
export function coral(source: Rows, target: Rows): Float64Array {
  const white = covariancePower(source)(source, -0.5);
  return covariancePower(target)({ ...source, x: white }, 0.5);
}

/** At most `max` of them, evenly spread, so that no class is left out of a long list that is sorted by class. */
export function evenly<T>(items: readonly T[], max: number): readonly T[] {
  if (items.length <= max) return items;
  return Array.from({ length: max }, (_, i) => items[Math.floor((i * items.length) / max)]!);
}

/** Some rows of many. */
export function pickRows({ x, d }: Rows, rows: readonly number[]): Rows {
  const out = new Float64Array(rows.length * d);
  for (const [to, from] of rows.entries()) out.set(x.subarray(from * d, (from + 1) * d), to * d);
  return { x: out, n: rows.length, d };
}
