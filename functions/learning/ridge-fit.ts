/** What ridge regression is fitted to, and what comes of it. */
import type { Labelled } from './targets.ts';

export type RidgeFit = {
  /** Row-major [labels × dimension]. */
  readonly weight: Float64Array;
  readonly bias: Float64Array;
  readonly lambda: number;
  /** Row-major [judged rows × labels]: what a head that never saw the row says about it. */
  readonly leftOut: Float64Array;
};

export type RidgeInput = Labelled & {
  /** Row-major [n × d] features (transformed and centred). */
  readonly x: Float64Array;
  readonly n: number;
  readonly d: number;
  /** Rows whose left-out scores are wanted; all of them when absent. Scores of 10,000 rows on 1,000 labels would not fit beside the examples. */
  readonly judged?: readonly number[];
};

/** Some rows of a row-major [rows × k] array; the array itself when no rows are named. */
export function takeRows(values: Float64Array, rows: readonly number[] | undefined, k: number): Float64Array {
  if (!rows) return values;
  const out = new Float64Array(rows.length * k);
  for (const [to, from] of rows.entries()) out.set(values.subarray(from * k, (from + 1) * k), to * k);
  return out;
}
