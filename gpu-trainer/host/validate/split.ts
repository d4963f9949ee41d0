/** Who is trained on and who is held out, where the caller did not say: stratified, by digest, so that the same bytes always fall on the same side. */
import { createHash } from 'node:crypto';
import type { Split } from './sources.ts';

const HELD_OUT = 0.15;
/** Classes below this many rows give none away. */
const SMALLEST_DIVIDED_CLASS = 5;

/** Split of each row, in order. Rows that came with a split keep it; when any did, the others train. */
export function assignSplits(
  rows: readonly { readonly label: string | null; readonly split: Split | null; readonly sha256: string }[],
  seed: number,
): Split[] {
  const out: Split[] = rows.map((r) => r.split ?? 'train');
  if (rows.some((r) => r.split !== null)) return out;
  const byLabel = new Map<string, number[]>();
  for (const [i, r] of rows.entries()) if (r.label !== null) byLabel.set(r.label, [...(byLabel.get(r.label) ?? []), i]);
  for (const members of byLabel.values()) {
    if (members.length < SMALLEST_DIVIDED_CLASS) continue;
    const key = (i: number): string => createHash('sha256').update(`${seed}/${rows[i]!.sha256}`).digest('hex');
    const order = members.map((i) => [key(i), i] as const).toSorted((a, b) => (a[0] < b[0] ? -1 : 1));
    const each = Math.max(1, Math.round(members.length * HELD_OUT));
    for (const [place, [, i]] of order.entries()) if (place < 2 * each) out[i] = place < each ? 'test' : 'validation';
  }
  return out;
}
