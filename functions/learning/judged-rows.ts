/** Which examples a head is judged by with themselves left out. */
import { NO_LABEL, takeTurns } from './support.ts';

/** Left-out scores are kept for so many rows, and so many rows × labels, at most: time and memory stay bounded for 10,000 examples of 1,000 classes. */
const JUDGED_ROWS_MAX = 2_048;
const JUDGED_SCORES_MAX = 1 << 20;

/**
 * The rows that the head is judged by: one label (or `several`), and another example of each, for without one a left-out row could not have been right.
 * When there are too many, classes take turns from the newest on, so that what was just enrolled is looked at.
 */
export function judgedRows(examples: readonly { readonly labelsOf: readonly number[] }[], labels: number, several: boolean): number[] {
  const counts = new Float64Array(labels);
  for (const e of examples) for (const c of e.labelsOf) counts[c]! += 1;
  const fair = [...examples.keys()].filter(
    (i) => (several || examples[i]!.labelsOf.length === 1) && examples[i]!.labelsOf.every((c) => counts[c]! > 1),
  );
  return newestFirst(
    fair.map((i) => ({ i, labelsOf: examples[i]!.labelsOf })),
    labels,
  ).map(({ i }) => i);
}

/** How many rows of a head with so many labels are judged at most. */
export const judgedLimit = (labels: number): number => Math.min(JUDGED_ROWS_MAX, Math.max(256, Math.floor(JUDGED_SCORES_MAX / labels)));

/** As many rows as may be judged. */
export function newestFirst<R extends { readonly labelsOf: readonly number[] }>(rows: readonly R[], labels: number): R[] {
  const limit = judgedLimit(labels);
  if (rows.length <= limit) return [...rows];
  const back = rows.toReversed();
  return takeTurns(
    back.map((r) => r.labelsOf[0] ?? NO_LABEL),
    limit,
  ).map((i) => back[i]!);
}
