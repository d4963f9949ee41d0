/** Dense symmetric mathematics in Float64, row-major. Only what the heads need. */

/** A = L·Lᵀ in place (lower triangle; Golub & Van Loan, 4.2.5). Throws RangeError when A is not positive definite. */
export function cholesky(a: Float64Array, n: number): void {
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = a[i * n + j]!;
      const ri = i * n;
      const rj = j * n;
      for (let k = 0; k < j; k++) sum -= a[ri + k]! * a[rj + k]!;
      if (i === j) {
        if (!(sum > 0)) throw new RangeError(`the matrix is not positive definite (pivot ${j} is ${sum})`);
        a[ri + j] = Math.sqrt(sum);
      } else a[ri + j] = sum / a[rj + j]!;
    }
  }
}

/** Solves L·Lᵀ·x = b for every column of b [n × columns], in place. */
export function choleskySolve(l: Float64Array, n: number, b: Float64Array, columns: number): void {
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) {
      const f = l[i * n + k]!;
      if (f !== 0) for (let c = 0; c < columns; c++) b[i * columns + c]! -= f * b[k * columns + c]!;
    }
    const d = l[i * n + i]!;
    for (let c = 0; c < columns; c++) b[i * columns + c]! /= d;
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) {
      const f = l[k * n + i]!;
      if (f !== 0) for (let c = 0; c < columns; c++) b[i * columns + c]! -= f * b[k * columns + c]!;
    }
    const d = l[i * n + i]!;
    for (let c = 0; c < columns; c++) b[i * columns + c]! /= d;
  }
}

/**
 * For each fold F: ((A⁻¹)_FF)⁻¹·b_F with A = L·Lᵀ and b [n × columns], in place. (A⁻¹)_FF is the Gram matrix of the columns F of L⁻¹.
 * Cost: O(n³) over all folds.
 */
export function solveFolds(l: Float64Array, n: number, folds: readonly (readonly number[])[], b: Float64Array, columns: number): void {
  for (const fold of folds) {
    const m = fold.length;
    const inverse = new Float64Array(m * n);
    for (const [at, j] of fold.entries()) {
      const row = at * n;
      inverse[row + j] = 1 / l[j * n + j]!;
      for (let i = j + 1; i < n; i++) {
        let sum = 0;
        for (let k = j, p = i * n + j; k < i; k++, p++) sum -= l[p]! * inverse[row + k]!;
        inverse[row + i] = sum / l[i * n + i]!;
      }
    }
    const block = gram(inverse, m, n);
    const part = new Float64Array(m * columns);
    for (const [at, i] of fold.entries()) part.set(b.subarray(i * columns, (i + 1) * columns), at * columns);
    cholesky(block, m);
    choleskySolve(block, m, part, columns);
    for (const [at, i] of fold.entries()) b.set(part.subarray(at * columns, (at + 1) * columns), i * columns);
  }
}

/** X·Xᵀ for X [n × d]; both triangles are filled. */
export function gram(x: Float64Array, n: number, d: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      const ri = i * d;
      const rj = j * d;
      for (let k = 0; k < d; k++) sum += x[ri + k]! * x[rj + k]!;
      out[i * n + j] = sum;
      out[j * n + i] = sum;
    }
  }
  return out;
}

/** Xᵀ·X for X [n × d]; both triangles are filled. */
export function covariance(x: Float64Array, n: number, d: number): Float64Array {
  const out = new Float64Array(d * d);
  for (let r = 0; r < n; r++) {
    const row = r * d;
    for (let i = 0; i < d; i++) {
      const v = x[row + i]!;
      if (v === 0) continue;
      const to = i * d;
      for (let j = 0; j <= i; j++) out[to + j]! += v * x[row + j]!;
    }
  }
  for (let i = 0; i < d; i++) for (let j = 0; j < i; j++) out[j * d + i] = out[i * d + j]!;
  return out;
}
