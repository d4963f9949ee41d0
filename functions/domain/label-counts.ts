/**
 * Counts by label in plain objects, which is what rows and messages hold. Labels are a caller's words, and "constructor" is one of them: nothing is read or
 * written through the prototype that every object has. Pure.
 */
export type LabelCounts = Readonly<Record<string, number>>;

export function countOf(counts: LabelCounts, label: string): number {
  return Object.hasOwn(counts, label) ? counts[label]! : 0;
}

/** What comes more than once adds up. */
export function addedUp(entries: Iterable<readonly [label: string, count: number]>): LabelCounts {
  const sums = new Map<string, number>();
  for (const [label, count] of entries) sums.set(label, (sums.get(label) ?? 0) + count);
  return Object.fromEntries(sums);
}
