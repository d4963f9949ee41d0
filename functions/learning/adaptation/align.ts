/**
 * Maps of source features to a target domain, in closed form. All are affine, so the head that is solved on the mapped examples reads target inputs
 * with nothing but another centre and other weights: z = (φ(x) − offset) / scale.
 *
 * - centre: both domains lose their mean (the first moment of CORAL; compare Li et al. 2018, AdaBN).
 * - standardise: both lose mean and spread by dimension (AdaBN), spreads shrunk because the target is small.
 * - coral: x ↦ (x − μs)·Cs^−½·Ct^½ (Sun, Feng & Saenko 2016, Return of frustratingly easy domain adaptation).
 */
import { gram } from '../linear-algebra.ts';
import { symmetricEigen } from '../symmetric-eigen.ts';

/** Row-major [n × d]. */
export type Rows = { readonly x: Float64Array; readonly n: number; readonly d: number };
export type AlignMethod = 'centre' | 'standardise' | 'coral';
export const ALIGN_METHODS = ['centre', 'standardise', 'coral'] as const satisfies readonly AlignMethod[];

export type Aligned = {
  readonly method: AlignMethod;
  /** Source rows as the target would have shown them, [n × d]. */
  readonly x: Float64Array;
  /** What target inputs are divided by after the offset; null: by nothing. */
  readonly scale: Float64Array | null;
};

/** γ: the part of the identity in a covariance of fewer rows than dimensions. */
const SHRINKAGE = 0.5;
/** The variance of one dimension is believed as far as this many rows are outweighed by those seen. */
const SPREAD_PRIOR_ROWS = 20;
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

/** @param source and @param target both already without their means */
export function align(method: AlignMethod, source: Rows, target: Rows): Aligned {
  if (method === 'centre') return { method, x: source.x, scale: null };
  if (method === 'coral') return { method, x: coral(source, target), scale: null };
  const [from, to] = [spreads(source), spreads(target)];
  const { n, d } = source;
  const x = new Float64Array(n * d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) x[i * d + j] = source.x[i * d + j]! / from[j]!;
  return { method, x, scale: to };
}

/** σⱼ with σⱼ² = (Σ x²ⱼ + κ·v̄) / (n + κ): towards the mean variance v̄ of all dimensions while rows are few. */
function spreads({ x, n, d }: Rows): Float64Array {
  const squares = new Float64Array(d);
  let total = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++) {
      const v = x[i * d + j]!;
      squares[j]! += v * v;
      total += v * v;
    }
  const mean = total / Math.max(1, n * d);
  return squares.map((s) => Math.sqrt((s + SPREAD_PRIOR_ROWS * mean) / (n + SPREAD_PRIOR_ROWS)) || 1);
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

function coral(source: Rows, target: Rows): Float64Array {
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
