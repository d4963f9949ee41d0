/**
 * One-against-rest ridge regression on ±1 targets with class-balanced weights and exact leave-one-out predictions.
 *
 * With rows scaled by √sᵢ and a constant feature for the bias, A = X·Xᵀ + λI (dual) or XᵀX + λI (primal):
 *   dual    α = A⁻¹Y,  W = Xᵀα,  residuals of rows F left out together e_F = ((A⁻¹)_FF)⁻¹ α_F
 *   primal  W = A⁻¹XᵀY,          eᵢ = (yᵢ − xᵢW) / (1 − xᵢA⁻¹xᵢᵀ)
 * (Rifkin & Lippert 2007, Notes on regularized least squares; Allen 1974, PRESS.) Both are exact; the dual is cheaper while n < d. With n > d rows it
 * makes no difference whether a row is left out alone, so the primal does that.
 */
import { cholesky, choleskySolve, covariance, gram, solveFolds } from './linear-algebra.ts';
import { withoutSurplus } from './imbalance.ts';
import { balancedWeights, targetsOf, type Labelled, type Targets } from './targets.ts';

export type RidgeFit = {
  /** Row-major [labels × dimension]. */
  readonly weight: Float64Array;
  readonly bias: Float64Array;
  readonly lambda: number;
  /** Row-major [judged rows × labels]: what a head that never saw the row says about it. */
  readonly leftOut: Float64Array;
};

/** In units of the spread of the features (see `fitRidgeLeaveOneOut`). */
export const LAMBDAS = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3] as const;
/** Without a row to judge by. */
export const PRIOR_LAMBDA = 0.1;
/** The penalty is searched on at most this many rows (cubic cost); the final solve uses all of them. */
const SEARCH_ROWS_MAX = 256;

export type RidgeInput = Labelled & {
  /** Row-major [n × d] features (transformed and centred). */
  readonly x: Float64Array;
  readonly n: number;
  readonly d: number;
  /** Rows whose left-out scores are wanted; all of them when absent. Scores of 10,000 rows on 1,000 labels would not fit beside the examples. */
  readonly judged?: readonly number[];
};

type Prepared = { readonly input: RidgeInput; readonly xs: Float64Array; readonly root: Float64Array; readonly n: number; readonly d1: number };

function prepare(input: RidgeInput, scale: number): Prepared {
  const { x, n, d, labels, labelsOf } = input;
  const d1 = d + 1;
  const root = balancedWeights(labelsOf, labels).map(Math.sqrt);
  const xs = new Float64Array(n * d1);
  for (let i = 0; i < n; i++) {
    const s = root[i]!;
    for (let j = 0; j < d; j++) xs[i * d1 + j] = x[i * d + j]! * s * scale;
    xs[i * d1 + d] = s;
  }
  return { input, xs, root, n, d1 };
}

/** Fits with one penalty, features times `scale`. @throws RangeError when λ ≤ 0 or a feature is not finite */
export function fitRidge(input: RidgeInput, lambda: number, scale = 1): RidgeFit {
  if (!(lambda > 0)) throw new RangeError(`the penalty must be positive, got ${lambda}`);
  const p = prepare(input, scale);
  return p.n <= p.d1 ? fitDual(p, lambda, gram(p.xs, p.n, p.d1)) : fitPrimal(p, lambda, covariance(p.xs, p.n, p.d1));
}

/**
 * Fits with the penalty whose left-out squared error is least. Features are first divided by their own spread √(Σ sᵢ‖xᵢ − x̄‖² / Σ sᵢ), so that the
 * same penalties fit embeddings that lie far apart (photographs) and ones that lie close together (drawings, digits): with a fixed scale the
 * second kind lost up to 13 points (docs/decisions/0004).
 */
export function fitRidgeLeaveOneOut(input: RidgeInput, lambdas: readonly number[] = LAMBDAS): RidgeFit {
  const scale = 1 / spread(input);
  const lambda = lambdas.length === 1 ? lambdas[0]! : chooseLambda(thin(input), lambdas, scale);
  const fit = fitRidge(input, lambda, scale);
  const leftOutOf = (rows: readonly number[]): Float64Array => fitRidge(someRows(input, rows), lambda, scale).leftOut;
  return withoutSurplus(input, { ...fit, weight: fit.weight.map((v) => v * scale) }, leftOutOf);
}

/** Rows by themselves, each to be left out alone. */
function someRows({ x, d, labels, labelsOf }: RidgeInput, rows: readonly number[]): RidgeInput {
  const some = new Float64Array(rows.length * d);
  for (const [to, from] of rows.entries()) some.set(x.subarray(from * d, (from + 1) * d), to * d);
  return { x: some, n: rows.length, d, labels, labelsOf: rows.map((i) => labelsOf[i]!) };
}

function spread({ x, n, d, labels, labelsOf }: RidgeInput): number {
  const s = balancedWeights(labelsOf, labels);
  let total = 0;
  let squares = 0;
  const mean = new Float64Array(d);
  for (let i = 0; i < n; i++) {
    total += s[i]!;
    for (let j = 0; j < d; j++) {
      const v = x[i * d + j]!;
      mean[j]! += s[i]! * v;
      squares += s[i]! * v * v;
    }
  }
  let middle = 0;
  for (const m of mean) middle += (m / total) ** 2;
  return rootOr1(squares / total - middle);
}

/** √v; 1 where all rows are (nearly) the same, so that nothing is blown up. */
export const rootOr1 = (v: number): number => (v > 1e-9 ? Math.sqrt(v) : 1);

/**
 * The rows that a penalty may be chosen by. A row that is alone in its class cannot be said right once it is left out: counting it would always ask for the
 * largest penalty. None while most classes have but one row: the few others, all of the classes that have more than their share, ask for the smallest.
 */
export function fairRows(labelsOf: readonly (readonly number[])[], labels: number): number[] {
  const counts = new Float64Array(labels);
  for (const row of labelsOf) for (const c of row) counts[c]! += 1;
  const [present, several] = [0, 1].map((least) => counts.reduce((n, count) => n + (count > least ? 1 : 0), 0)) as [number, number];
  return 2 * several < present ? [] : [...labelsOf.keys()].filter((i) => labelsOf[i]!.every((c) => counts[c]! > 1));
}

/** The penalty with the least weighted left-out squared error over `fair` rows; PRIOR_LAMBDA when there are none. */
export function leastError(t: Targets, fair: readonly number[], lambdas: readonly number[], leftOutAt: (lambda: number) => Float64Array): number {
  if (fair.length === 0) return PRIOR_LAMBDA;
  let best = lambdas[0]!;
  let least = Infinity;
  for (const lambda of lambdas) {
    const leftOut = leftOutAt(lambda);
    let error = 0;
    for (const i of fair) for (let c = 0; c < t.k; c++) error += (t.ys[i * t.k + c]! - t.root[i]! * leftOut[i * t.k + c]!) ** 2;
    if (error < least) [least, best] = [error, lambda];
  }
  return best;
}

function chooseLambda(input: RidgeInput, lambdas: readonly number[], scale: number): number {
  const p = prepare(input, scale);
  const targets = targetsOf(input);
  const dual = p.n <= p.d1;
  const matrix = dual ? gram(p.xs, p.n, p.d1) : covariance(p.xs, p.n, p.d1);
  return leastError(targets, fairRows(input.labelsOf, input.labels), lambdas, (lambda) =>
    dual ? solveDual(targets, lambda, matrix).leftOut : fitPrimal(p, lambda, matrix).leftOut,
  );
}

/** At most SEARCH_ROWS_MAX rows, classes taken in turn so that the small ones stay whole. */
function thin(input: RidgeInput): RidgeInput {
  const { judged: _, foldOf, ...all } = input;
  const folds = (rows: readonly number[]) => (foldOf ? { foldOf: Int32Array.from(rows, (i) => foldOf[i]!) } : {});
  if (input.n <= SEARCH_ROWS_MAX) return { ...all, ...folds([...input.labelsOf.keys()]) };
  const seen = new Float64Array(input.labels);
  const turn = input.labelsOf.map((row) => {
    const c = row[0] ?? 0;
    seen[c]! += 1;
    return seen[c]!;
  });
  const order = [...turn.keys()].toSorted((a, b) => turn[a]! - turn[b]! || a - b).slice(0, SEARCH_ROWS_MAX);
  const x = new Float64Array(order.length * input.d);
  for (const [to, from] of order.entries()) x.set(input.x.subarray(from * input.d, (from + 1) * input.d), to * input.d);
  return { ...all, ...folds(order), x, n: order.length, labelsOf: order.map((i) => input.labelsOf[i]!) };
}

/** α [n × k] and left-out scores from the kernel of the scaled rows (bias included). */
export function solveDual({ ys, root, n, k, folds }: Targets, lambda: number, kernel: Float64Array): { alpha: Float64Array; leftOut: Float64Array } {
  const a = kernel.slice();
  for (let i = 0; i < n; i++) a[i * n + i]! += lambda;
  cholesky(a, n);
  const alpha = ys.slice();
  choleskySolve(a, n, alpha, k);
  const residual = alpha.slice();
  solveFolds(a, n, folds, residual, k);
  const leftOut = new Float64Array(n * k);
  for (let i = 0; i < n; i++) for (let c = 0; c < k; c++) leftOut[i * k + c] = (ys[i * k + c]! - residual[i * k + c]!) / root[i]!;
  return { alpha, leftOut };
}

function fitDual(p: Prepared, lambda: number, kernel: Float64Array): RidgeFit {
  const { xs, n, d1 } = p;
  const { labels: k, judged } = p.input;
  const { alpha, leftOut } = solveDual(targetsOf(p.input), lambda, kernel);
  const weight = new Float64Array(k * (d1 - 1));
  const bias = new Float64Array(k);
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < k; c++) {
      const f = alpha[i * k + c]!;
      const to = c * (d1 - 1);
      for (let j = 0; j < d1 - 1; j++) weight[to + j]! += f * xs[i * d1 + j]!;
      bias[c]! += f * xs[i * d1 + d1 - 1]!;
    }
  }
  return { weight, bias, lambda, leftOut: takeRows(leftOut, judged, k) };
}

function fitPrimal(p: Prepared, lambda: number, scatter: Float64Array): RidgeFit {
  const { xs, root, n, d1 } = p;
  const { labelsOf, labels: k } = p.input;
  const judged = p.input.judged ?? [...labelsOf.keys()];
  const a = scatter.slice();
  for (let i = 0; i < d1; i++) a[i * d1 + i]! += lambda;
  cholesky(a, d1);
  // XᵀY without Y: −1 everywhere, then twice each row where its labels are.
  const w = new Float64Array(d1 * k);
  const total = new Float64Array(d1);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d1; j++) {
      const v = root[i]! * xs[i * d1 + j]!;
      total[j]! += v;
      for (const c of labelsOf[i]!) w[j * k + c]! += 2 * v;
    }
  for (let j = 0; j < d1; j++) for (let c = 0; c < k; c++) w[j * k + c]! -= total[j]!;
  choleskySolve(a, d1, w, k);
  const leftOut = new Float64Array(judged.length * k);
  const half = new Float64Array(d1);
  const fitted = new Float64Array(k);
  for (const [to, i] of judged.entries()) {
    let leverage = 0; // xᵢA⁻¹xᵢᵀ = ‖L⁻¹xᵢ‖²
    fitted.fill(0);
    for (let r = 0; r < d1; r++) {
      const v = xs[i * d1 + r]!;
      let sum = v;
      for (let q = 0; q < r; q++) sum -= a[r * d1 + q]! * half[q]!;
      half[r] = sum / a[r * d1 + r]!;
      leverage += half[r]! * half[r]!;
      for (let c = 0; c < k; c++) fitted[c]! += v * w[r * k + c]!;
    }
    const rest = Math.max(1 - leverage, 1e-12);
    for (let c = 0; c < k; c++) {
      const y = labelsOf[i]!.includes(c) ? root[i]! : -root[i]!;
      leftOut[to * k + c] = (y - (y - fitted[c]!) / rest) / root[i]!;
    }
  }
  const weight = new Float64Array(k * (d1 - 1));
  const bias = new Float64Array(k);
  for (let c = 0; c < k; c++) {
    for (let j = 0; j < d1 - 1; j++) weight[c * (d1 - 1) + j] = w[j * k + c]!;
    bias[c] = w[(d1 - 1) * k + c]!;
  }
  return { weight, bias, lambda, leftOut };
}

/** Some rows of a row-major [rows × k] array; the array itself when no rows are named. */
export function takeRows(values: Float64Array, rows: readonly number[] | undefined, k: number): Float64Array {
  if (!rows) return values;
  const out = new Float64Array(rows.length * k);
  for (const [to, from] of rows.entries()) out.set(values.subarray(from * k, (from + 1) * k), to * k);
  return out;
}
