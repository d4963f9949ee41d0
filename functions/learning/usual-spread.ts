/**
 * How far each value of a feature lies from the middle of the background, usually. Measured by it, values that hardly change from text to text count as
 * much as those that always do: the ones that a pooled layer has by habit drown the rest otherwise (Timkey & van Schijndel 2021, All bark and no bite).
 */
import { transformFeature } from './features.ts';
import type { SolveInput } from './solve-head.ts';

type Given = Pick<SolveInput, 'background' | 'dimension' | 'transform'>;

/** A background is the same array for as long as its owner keeps it. */
const known = new WeakMap<readonly Float32Array[], Float64Array | null>();

/** 1/σ of each centred feature, [d], 0 where it never changes; null with fewer than two background rows. */
export function usualScale(given: Given, center: Float32Array): Float64Array | null {
  const rows = given.background.base;
  const before = known.get(rows);
  if (before !== undefined) return before;
  const made = rows.length < 2 ? null : inverseSpread(given, center);
  known.set(rows, made);
  return made;
}

function inverseSpread({ background, dimension: d, transform }: Given, center: Float32Array): Float64Array {
  const squares = new Float64Array(d);
  const x = new Float64Array(d);
  for (const row of background.base) {
    transformFeature(row, transform, center, x);
    for (let j = 0; j < d; j++) squares[j]! += x[j]! * x[j]!;
  }
  // Rounding makes constants vary a little.
  return squares.map((s) => (s > 1e-12 ? Math.sqrt((background.base.length - 1) / s) : 0));
}
