/**
 * One-against-rest ridge regression on ±1 targets with class-balanced weights and exact leave-one-out predictions.
 *
 * With rows scaled by √sᵢ and a constant feature for the bias, A = X·Xᵀ + λI (dual) or XᵀX + λI (primal):
 *   dual    α = A⁻¹Y,  W = Xᵀα,  residuals of rows F left out together e_F = ((A⁻¹)_FF)⁻¹ α_F
 *   primal  W = A⁻¹XᵀY,          eᵢ = (yᵢ − xᵢW) / (1 − xᵢA⁻¹xᵢᵀ)
 * (Rifkin & Lippert 2007, Notes on regularized least squares; Allen 1974, PRESS.) Both are exact; the dual is cheaper while n < d. With n > d rows it
 * makes no difference whether a row is left out alone, so the primal does that.
 */
import { fitAt, fitOverProducts, penaltyOver, rootOr1 } from './dual-ridge.ts';
import { withoutSurplus } from './imbalance.ts';
import { cholesky, choleskySolve, covariance, dot, gram } from './linear-algebra.ts';
import { fairRows, labelsOfRows, LAMBDAS, leastError, searchRows } from './penalty.ts';
import type { RidgeFit, RidgeInput } from './ridge-fit.ts';
import { balancedWeights, targetsOf } from './targets.ts';

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

const isDual = ({ n, d }: RidgeInput): boolean => n <= d + 1;

/** Fits with one penalty, features divided by `spread`; the weights apply to the rows as they are given. @throws RangeError when λ ≤ 0 */
export function fitRidge(input: RidgeInput, lambda: number, spread = 1): RidgeFit {
  if (!(lambda > 0)) throw new RangeError(`the penalty must be positive, got ${lambda}`);
  if (isDual(input)) return fitAt(input, { values: gram(input.x, input.n, input.d), n: input.n, scale: spread ** 2 }, lambda);
  const p = prepare(input, 1 / spread);
  const fit = fitPrimal(p, lambda, covariance(p.xs, p.n, p.d1));
  return { ...fit, weight: fit.weight.map((v) => v / spread) };
}

/**
 * Fits with the penalty whose left-out squared error is least. Features are first divided by their own spread √(Σ sᵢ‖xᵢ − x̄‖² / Σ sᵢ), so that the
 * same penalties fit embeddings that lie far apart (photographs) and ones that lie close together (drawings, digits): with a fixed scale the
 * second kind lost up to 13 points (docs/decisions/0004).
 */
export function fitRidgeLeaveOneOut(input: RidgeInput, lambdas: readonly number[] = LAMBDAS): RidgeFit {
  if (isDual(input)) return fitOverProducts(input, gram(input.x, input.n, input.d), lambdas);
  const spread = spreadOf(input);
  const lambda = lambdas.length === 1 ? lambdas[0]! : choosePenalty(input, lambdas, spread);
  const { foldOf: _, ...alone } = input;
  const leftOutOf = (rows: readonly number[]): Float64Array => fitRidge(someRows(alone, rows), lambda, spread).leftOut;
  const product = (i: number, j: number): number => dot(input.x, i * input.d, input.x, j * input.d, input.d) / spread ** 2;
  return withoutSurplus(input, fitRidge(input, lambda, spread), leftOutOf, product);
}

function choosePenalty(all: RidgeInput, lambdas: readonly number[], spread: number): number {
  const input = someRows(all, searchRows(all));
  if (isDual(input)) return penaltyOver({ values: gram(input.x, input.n, input.d), n: input.n, scale: spread ** 2 }, input, lambdas);
  const p = prepare(input, 1 / spread);
  const scatter = covariance(p.xs, p.n, p.d1);
  return leastError(targetsOf(input), fairRows(input.labelsOf, input.labels), lambdas, (lambda) => fitPrimal(p, lambda, scatter).leftOut);
}

function someRows(input: RidgeInput, rows: readonly number[]): RidgeInput {
  const { x, d } = input;
  const some = new Float64Array(rows.length * d);
  for (const [to, from] of rows.entries()) some.set(x.subarray(from * d, (from + 1) * d), to * d);
  return { x: some, n: rows.length, d, ...labelsOfRows(input, rows) };
}

function spreadOf({ x, n, d, labels, labelsOf }: RidgeInput): number {
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
      half[r] = (v - dot(a, r * d1, half, 0, r)) / a[r * d1 + r]!;
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
