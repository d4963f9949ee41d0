/** How a penalty is chosen: by the error on left-out rows that can be said right, among at most some hundred rows. */
import type { Labelled, Targets } from './targets.ts';

/** In units of the spread of the features (see `fitRidgeLeaveOneOut`). */
export const LAMBDAS = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3] as const;
/** Without a row to judge by. */
export const PRIOR_LAMBDA = 0.1;
/** The penalty is searched on at most this many rows (cubic cost); the final solve uses all of them. */
const SEARCH_ROWS_MAX = 256;

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

/** At most SEARCH_ROWS_MAX rows, classes taken in turn so that the small ones stay whole. */
export function searchRows({ labels, labelsOf }: Labelled): number[] {
  if (labelsOf.length <= SEARCH_ROWS_MAX) return [...labelsOf.keys()];
  // Rows of no label take turns too, as a class of their own.
  const seen = new Float64Array(labels + 1);
  const turn = labelsOf.map((row) => {
    const c = row[0] ?? labels;
    seen[c]! += 1;
    return seen[c]!;
  });
  return [...turn.keys()].toSorted((a, b) => turn[a]! - turn[b]! || a - b).slice(0, SEARCH_ROWS_MAX);
}

/** The labels, and folds, of some rows. */
export function labelsOfRows({ labels, labelsOf, foldOf }: Labelled, rows: readonly number[]): Labelled {
  const folds = foldOf ? { foldOf: Int32Array.from(rows, (i) => foldOf[i]!) } : {};
  return { labels, labelsOf: rows.map((i) => labelsOf[i]!), ...folds };
}
