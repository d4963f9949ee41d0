/** Mean and total variance of vectors as they come (Welford 1962), and of two such streams together (Chan, Golub and LeVeque 1979). */

export type Moments = {
  readonly n: number;
  readonly mean: Float64Array;
  /** Σ ‖x − mean‖². */
  readonly squares: number;
};

export const noMoments = (dimension: number): Moments => ({ n: 0, mean: new Float64Array(dimension), squares: 0 });

/** With `x` added; `mean` is the same array, changed in place. */
export function addToMoments(m: Moments, x: ArrayLike<number>): Moments {
  const n = m.n + 1;
  let squares = m.squares;
  for (let i = 0; i < m.mean.length; i++) {
    const before = x[i]! - m.mean[i]!;
    m.mean[i]! += before / n;
    squares += before * (x[i]! - m.mean[i]!);
  }
  return { n, mean: m.mean, squares };
}

/** Both streams as one. Throws RangeError when they have different dimensions. */
export function joinMoments(a: Moments, b: Moments): Moments {
  if (a.mean.length !== b.mean.length) throw new RangeError(`moments of ${a.mean.length} and ${b.mean.length} dimensions`);
  const n = a.n + b.n;
  if (n === 0) return a;
  let apart = 0;
  const mean = a.mean.map((value, i) => {
    const difference = b.mean[i]! - value;
    apart += difference * difference;
    return value + (difference * b.n) / n;
  });
  return { n, mean, squares: a.squares + b.squares + (apart * a.n * b.n) / n };
}
