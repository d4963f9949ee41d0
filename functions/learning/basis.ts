/**
 * The directions in which many kept examples lie. Compared with one by one, m examples of d values are m·d products a prediction; in r directions they are
 * r·d and m·r, and that much of memory (docs/decisions/0006). The first directions are those of a few examples that lie farthest apart, whose cosines stay
 * exact, so that the variance over them (novelty.ts) means the same for what was enrolled and for what is asked; with the main directions alone it did not,
 * and a threshold meant to refuse 5 % of the known refused 17. The others are the main directions of what those examples leave, by subspace iteration from
 * a seeded start (Halko, Martinsson & Tropp 2011, algorithm 4.4). The head is fitted to what it will compare with, so nothing is approximated afterwards.
 */
import { seededRandom } from '../../shared/statistics.ts';
import { dotRows } from './dot-rows.ts';

/** Examples whose cosines stay exact, and over which the variance is told: so many refuse as many of the known as all would. */
export const APART = 48;
/** Main directions of the rest, for so many classes: with 48, twelve classes are level and 24 lose .8 points; with 96 these are level too. */
const directionsFor = (classes: number): number => Math.min(112, Math.max(40, 4 * classes));
const ROUNDS = 3;
const SEED = 7;
/** Part of a row's squared length below which it lies in the directions before it: the rest is rounding. */
const NOTHING = 1e-12;

/** So many are compared with one by one, because directions cost seven classes of 32 digits .6 points. */
const ROWS_MIN = 256;

/** How many directions; null for few rows, and where they would save less than a quarter of the products. */
export function widthFor(m: number, d: number, classes: number): number | null {
  const r = APART + directionsFor(classes);
  return m > ROWS_MIN && r * (d + m) < 0.75 * m * d ? r : null;
}

/** Greedy: each the one that those before it explain least (pivoted Cholesky of `kernel` [m × m]); then the others in their order. */
export function farthestFirst(kernel: Float64Array, m: number): number[] {
  const left = Float64Array.from({ length: m }, (_, i) => kernel[i * (m + 1)]!);
  const columns: Float64Array[] = [];
  const first: number[] = [];
  while (first.length < Math.min(APART, m)) {
    const pivot = left.reduce((best, v, i) => (v > left[best]! ? i : best), 0);
    // What is left are copies.
    if (left[pivot]! < NOTHING) break;
    const root = Math.sqrt(left[pivot]!);
    const column = Float64Array.from(left, (_, i) => columns.reduce((sum, c) => sum - c[i]! * c[pivot]!, kernel[i * m + pivot]!) / root);
    for (let i = 0; i < m; i++) left[i]! -= column[i]! ** 2;
    left[pivot] = -Infinity;
    columns.push(column);
    first.push(pivot);
  }
  const taken = new Set(first);
  return [...first, ...Array.from({ length: m }, (_, i) => i).filter((i) => !taken.has(i))];
}

/** `basis` [width × d], its rows orthonormal (or zero), and the given rows' coordinates in it, [m × width]. */
export type Spanned = { readonly basis: Float32Array; readonly coordinates: Float32Array };

/**
 * Depends on the rows and their order alone. Cost: O(m²·width + m·d·width).
 * @param rows row-major [m × d], the farthest first
 * @param cosines between them, [m × m]
 */
export function span(rows: Float32Array, cosines: Float64Array, m: number, d: number, width: number): Spanned {
  const row = (i: number): Float32Array => rows.subarray(i * d, (i + 1) * d);
  const directions = new Float64Array(width * d);
  directions.set(rows.subarray(0, APART * d));
  orthonormalise(directions, APART, d);
  const exact = new Float64Array(m * APART);
  const first = Float32Array.from(directions.subarray(0, APART * d));
  for (let i = 0; i < m; i++) exact.set(dotRows(first, row(i), APART), i * APART);
  const others = mainDirections(withoutThem(cosines, exact, m), width - APART, m);
  directions.set(product(others, rows, width - APART, m, d), APART * d);
  orthonormalise(directions, width, d);
  const basis = Float32Array.from(directions);
  const coordinates = new Float32Array(m * width);
  for (let i = 0; i < m; i++) coordinates.set(dotRows(basis, row(i), width), i * width);
  return { basis, coordinates };
}

/** G − T·Tᵀ for T [m × APART]. */
function withoutThem(gram: Float64Array, t: Float64Array, m: number): Float64Array {
  const out = new Float64Array(m * m);
  for (let i = 0; i < m; i++)
    for (let j = 0; j <= i; j++) {
      let sum = gram[i * m + j]!;
      for (let q = 0, a = i * APART, b = j * APART; q < APART; q++, a++, b++) sum -= t[a]! * t[b]!;
      out[i * m + j] = out[j * m + i] = sum;
    }
  return out;
}

/** About the leading eigenvectors of G [m × m], as rows [n × m]. */
function mainDirections(gram: Float64Array, n: number, m: number): Float64Array {
  const next = seededRandom(SEED);
  let rows: Float64Array = Float64Array.from({ length: n * m }, () => next() - 0.5);
  for (let round = 0; round < ROUNDS; round++) {
    orthonormalise(rows, n, m);
    rows = product(rows, gram, n, m, m);
  }
  orthonormalise(rows, n, m);
  return rows;
}

/** A·B for A [n × m] and B [m × d]. */
function product(a: Float64Array, b: Float64Array | Float32Array, n: number, m: number, d: number): Float64Array {
  const out = new Float64Array(n * d);
  for (let i = 0; i < n; i++) {
    const to = out.subarray(i * d, (i + 1) * d);
    for (let j = 0; j < m; j++) {
      const f = a[i * m + j]!;
      for (let q = 0, at = j * d; q < d; q++, at++) to[q]! += f * b[at]!;
    }
  }
  return out;
}

/** Gram–Schmidt of the first n rows of A [… × d] in place, twice for what rounding leaves; a row that those before it span becomes zeros. */
function orthonormalise(a: Float64Array, n: number, d: number): void {
  for (let i = 0; i < n; i++) {
    const row = a.subarray(i * d, (i + 1) * d);
    const before = squares(row);
    for (let pass = 0; pass < 2; pass++)
      for (let j = 0; j < i; j++) {
        const from = j * d;
        let along = 0;
        for (let q = 0; q < d; q++) along += a[from + q]! * row[q]!;
        for (let q = 0; q < d; q++) row[q]! -= along * a[from + q]!;
      }
    const left = squares(row);
    const scale = left > NOTHING * before ? 1 / Math.sqrt(left) : 0;
    for (let q = 0; q < d; q++) row[q]! *= scale;
  }
}

function squares(row: Float64Array): number {
  let sum = 0;
  for (const v of row) sum += v * v;
  return sum;
}
