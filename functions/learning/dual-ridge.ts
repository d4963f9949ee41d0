/** Ridge from the products of the rows with one another, for fewer rows than dimensions; the formulas are in ridge.ts. */
import { withoutSurplus } from './imbalance.ts';
import { cholesky, choleskySolve, solveFolds } from './linear-algebra.ts';
import { fairRows, labelsOfRows, leastError, searchRows } from './penalty.ts';
import { takeRows, type RidgeFit, type RidgeInput } from './ridge-fit.ts';
import { balancedWeights, targetsOf, type Labelled, type Targets } from './targets.ts';

/** X·Xᵀ of n rows, and the square of what features are divided by. */
export type Products = { readonly values: Float64Array; readonly n: number; readonly scale: number };

/**
 * As `fitRidgeLeaveOneOut`, from products [n × n], which every penalty and every subset of rows reads again. They need not be of the rows themselves: in
 * another metric the weights, Σ fᵢxᵢ / spread², are still of the rows as they are. Cost: O(n³ + n²k) a penalty.
 */
export function fitOverProducts(input: RidgeInput, values: Float64Array, lambdas: readonly number[]): RidgeFit {
  const products = { values, n: input.n, scale: spreadOver(values, balancedWeights(input.labelsOf, input.labels)) ** 2 };
  const lambda = lambdas.length === 1 ? lambdas[0]! : penaltyOver(products, input, lambdas);
  const fit = fitAt(input, products, lambda);
  const leftOutOf = (rows: readonly number[]): Float64Array => {
    const alone = targetsOf({ labelsOf: rows.map((i) => input.labelsOf[i]!), labels: input.labels });
    return solveDual(alone, kernelOf(products, rows, alone.root, lambda)).leftOut;
  };
  return withoutSurplus(input, fit, leftOutOf, (i, j) => values[i * input.n + j]! / products.scale);
}

/** The penalty of least left-out error, over some hundred rows. */
export function penaltyOver(products: Products, input: Labelled, lambdas: readonly number[]): number {
  const rows = searchRows(input);
  const some = labelsOfRows(input, rows);
  const targets = targetsOf(some);
  const leftOutAt = (lambda: number): Float64Array => solveDual(targets, kernelOf(products, rows, targets.root, lambda)).leftOut;
  return leastError(targets, fairRows(some.labelsOf, some.labels), lambdas, leftOutAt);
}

/** One penalty; the weights apply to the rows as they are given. */
export function fitAt(input: RidgeInput, products: Products, lambda: number): RidgeFit {
  const { x, n, d, labels: k, labelsOf, judged } = input;
  const targets = targetsOf(input);
  const { alpha, leftOut } = solveDual(targets, kernelOf(products, [...labelsOf.keys()], targets.root, lambda));
  const weight = new Float64Array(k * d);
  const bias = new Float64Array(k);
  for (let i = 0; i < n; i++)
    for (let c = 0; c < k; c++) {
      const f = targets.root[i]! * alpha[i * k + c]!;
      bias[c]! += f;
      for (let j = 0, to = c * d, from = i * d; j < d; j++, to++, from++) weight[to]! += (f / products.scale) * x[from]!;
    }
  return { weight, bias, lambda, leftOut: takeRows(leftOut, judged, k) };
}

/** A = √sᵢ√sⱼ(xᵢ·xⱼ / spread² + 1) + λI of some rows: scaled, with a constant feature for the bias. */
function kernelOf({ values, n, scale }: Products, rows: readonly number[], root: Float64Array, lambda: number): Float64Array {
  const m = rows.length;
  const a = new Float64Array(m * m);
  for (const [p, i] of rows.entries()) {
    for (const [q, j] of rows.entries()) a[p * m + q] = root[p]! * root[q]! * (values[i * n + j]! / scale + 1);
    a[p * m + p]! += lambda;
  }
  return a;
}

/** α [n × k] and left-out scores; `a` is overwritten. */
function solveDual({ ys, root, n, k, folds }: Targets, a: Float64Array): { alpha: Float64Array; leftOut: Float64Array } {
  cholesky(a, n);
  const alpha = ys.slice();
  choleskySolve(a, n, alpha, k);
  const residual = alpha.slice();
  solveFolds(a, n, folds, residual, k);
  const leftOut = new Float64Array(n * k);
  for (let i = 0; i < n; i++) for (let c = 0; c < k; c++) leftOut[i * k + c] = (ys[i * k + c]! - residual[i * k + c]!) / root[i]!;
  return { alpha, leftOut };
}

/** √(Σ sᵢ‖xᵢ − x̄‖² / Σ sᵢ) from the products. */
function spreadOver(values: Float64Array, s: Float64Array): number {
  const n = s.length;
  let [total, own, cross] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    total += s[i]!;
    own += s[i]! * values[i * n + i]!;
    for (let j = 0; j < n; j++) cross += s[i]! * s[j]! * values[i * n + j]!;
  }
  return rootOr1(own / total - cross / total ** 2);
}

/** √v; 1 where all rows are (nearly) the same, so that nothing is blown up. */
export const rootOr1 = (v: number): number => (v > 1e-9 ? Math.sqrt(v) : 1);
