/** Examples that show the same thing: equal bytes among all of them, nearly equal embeddings among as many as an answer may cost. */
import { drawRows } from './solve-budget.ts';

/** Cosine from which two inputs count as the same thing shown twice. Vectors may be a few columns of a table, where neighbours reach .99. */
export const NEAR_DUPLICATE = { image: 0.97, text: 0.97, vector: 0.998 } as const;
/** Multiply–adds of the comparison of every pair: well under a second. */
const COMPARING_BUDGET = 4e8;

export type ComparedRow = { readonly id: string; readonly sha256: string; readonly labelsOf: readonly number[] };
/** `with` was enrolled before `id`. `similarity` is 1 where the bytes are the same. */
export type DuplicatePair = { readonly id: string; readonly with: string; readonly similarity: number; readonly sameBytes: boolean };

/** How many rows of `dimension` values can be compared with each other: n²d/2 products. */
export const comparableRows = (dimension: number): number => Math.floor(Math.sqrt((2 * COMPARING_BUDGET) / dimension));

/**
 * The surest pairs first, each row once, with the row most like it among those before it.
 * @param rows in the order of enrolling
 * @param least cosine of a pair
 * @param unitsOf unit features, in the order asked for
 */
export function nearDuplicates(
  rows: readonly ComparedRow[],
  dimension: number,
  least: number,
  unitsOf: (rows: readonly ComparedRow[]) => readonly Float64Array[],
): { readonly pairs: DuplicatePair[]; readonly compared: number } {
  const pairs: DuplicatePair[] = [];
  const first = new Map<string, string>();
  for (const { id, sha256 } of rows) {
    const same = first.get(sha256);
    if (same === undefined) first.set(sha256, id);
    else pairs.push({ id, with: same, similarity: 1, sameBytes: true });
  }
  // A repeated row has its pair already, and says nothing about the others that its first one does not.
  const drawn = drawRows(
    rows.filter((r) => first.get(r.sha256) === r.id),
    comparableRows(dimension),
  );
  const units = unitsOf(drawn);
  for (const [i, one] of units.entries()) {
    let best = least;
    let nearest = -1;
    for (let j = 0; j < i; j++) {
      const other = units[j]!;
      let cosine = 0;
      for (let t = 0; t < one.length; t++) cosine += one[t]! * other[t]!;
      if (cosine > best) [best, nearest] = [cosine, j];
    }
    if (nearest >= 0) pairs.push({ id: drawn[i]!.id, with: drawn[nearest]!.id, similarity: Math.min(1, best), sameBytes: false });
  }
  return { pairs: pairs.toSorted((a, b) => b.similarity - a.similarity), compared: drawn.length };
}
