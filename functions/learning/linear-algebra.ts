/** Dense symmetric mathematics in Float64, row-major. Only what the heads need. */

/** A = L·Lᵀ in place (lower triangle; Golub & Van Loan, 4.2.5). Throws RangeError when A is not positive definite. */
export function cholesky(a: Float64Array, n: number): void {
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      const ri = i * n;
      const rj = j * n;
      const sum = a[ri + j]! - dot(a, ri, a, rj, j);
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
        inverse[row + i] = -dot(l, i * n + j, inverse, row + j, i - j) / l[i * n + i]!;
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

/** X·Xᵀ for X [n × d]; both triangles are filled. Four sums at a time: each value is read once for them, and they do not wait for each other. */
export function gram(x: Float64Array, n: number, d: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const ri = i * d;
    let j = 0;
    for (; j + 4 <= i + 1; j += 4) {
      let a = 0;
      let b = 0;
      let c = 0;
      let e = 0;
      for (let k = 0, p = j * d; k < d; k++, p++) {
        const v = x[ri + k]!;
        a += v * x[p]!;
        b += v * x[p + d]!;
        c += v * x[p + 2 * d]!;
        e += v * x[p + 3 * d]!;
      }
      out[i * n + j] = out[j * n + i] = a;
      out[i * n + j + 1] = out[(j + 1) * n + i] = b;
      out[i * n + j + 2] = out[(j + 2) * n + i] = c;
      out[i * n + j + 3] = out[(j + 3) * n + i] = e;
    }
    for (; j <= i; j++) out[i * n + j] = out[j * n + i] = dot(x, ri, x, j * d, d);
  }
  return out;
}

/** Xᵀ·X for X [n × d]; both triangles are filled. Four rows at a time: the sums are read and written once for them. */
export function covariance(x: Float64Array, n: number, d: number): Float64Array {
  const out = new Float64Array(d * d);
  const whole = n - (n % 4);
  for (let r = 0; r < whole; r += 4) {
    const a = r * d;
    const b = a + d;
    const c = b + d;
    const e = c + d;
    for (let i = 0; i < d; i++) {
      const va = x[a + i]!;
      const vb = x[b + i]!;
      const vc = x[c + i]!;
      const ve = x[e + i]!;
      for (let j = 0, to = i * d; j <= i; j++, to++) out[to]! += va * x[a + j]! + vb * x[b + j]! + vc * x[c + j]! + ve * x[e + j]!;
    }
  }
  for (let r = whole; r < n; r++)
    for (let i = 0; i < d; i++) {
      const v = x[r * d + i]!;
      for (let j = 0, to = i * d; j <= i; j++, to++) out[to]! += v * x[r * d + j]!;
    }
  for (let i = 0; i < d; i++) for (let j = 0; j < i; j++) out[j * d + i] = out[i * d + j]!;
  return out;
}

/** Σ aᵢbᵢ over `n` values from `at` and `bt` on. Four sums that do not wait for each other. */
export function dot(a: Float64Array, at: number, b: Float64Array, bt: number, n: number): number {
  let s = 0;
  let t = 0;
  let u = 0;
  let v = 0;
  let k = 0;
  for (; k + 4 <= n; k += 4) {
    s += a[at + k]! * b[bt + k]!;
    t += a[at + k + 1]! * b[bt + k + 1]!;
    u += a[at + k + 2]! * b[bt + k + 2]!;
    v += a[at + k + 3]! * b[bt + k + 3]!;
  }
  for (; k < n; k++) s += a[at + k]! * b[bt + k]!;
  return s + t + (u + v);
}
