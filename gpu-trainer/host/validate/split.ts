/** Who is trained on and who is held out, where the caller did not say: stratified, by digest, so that the same bytes fall on the same side. */
import { createHash } from 'node:crypto';
import type { Split } from './sources.ts';

const HELD_OUT = 0.15;
/** Classes below this many rows give none away. */
const SMALLEST_DIVIDED_CLASS = 5;

type Row = { readonly strata: readonly string[]; readonly split: Split | null; readonly sha256: string };

/**
 * Split of each row, in order. Rows that came with a split keep it; when any did, the others train. A row may be of several strata (its labels): the
 * rarest are divided first and every one counts what rarer ones gave away for it, so that it has its share in each part (as the iterative
 * stratification of Sechidis, Tsoumakas & Vlahavas 2011). A row of no stratum trains.
 */
export function assignSplits(rows: readonly Row[], seed: number): Split[] {
  if (rows.some((r) => r.split !== null)) return rows.map((r) => r.split ?? 'train');
  const strata = strataOf(rows);
  // Rows of a class that is too small to be divided go last.
  const scarce = new Set(strata.flatMap((members) => (members.length < SMALLEST_DIVIDED_CLASS ? members : [])));
  const keys = rows.map(({ sha256 }) => createHash('sha256').update(`${seed}/${sha256}`).digest('hex'));
  const byKey = (a: number, b: number): number => Number(scarce.has(a)) - Number(scarce.has(b)) || (keys[a]! < keys[b]! ? -1 : 1);

  const out: (Split | null)[] = rows.map(() => null);
  for (const members of strata) {
    if (members.length < SMALLEST_DIVIDED_CLASS) continue;
    const each = Math.max(1, Math.round(members.length * HELD_OUT));
    const free = members.filter((i) => out[i] === null).toSorted(byKey);
    for (const part of ['test', 'validation'] as const) {
      const has = members.filter((i) => out[i] === part).length;
      const taken = free.splice(0, Math.max(0, each - has));
      // Rarer strata placed all of its rows and none of them here: one that trains is moved.
      if (has + taken.length === 0)
        taken.push(
          ...members
            .filter((i) => out[i] === 'train')
            .toSorted(byKey)
            .slice(0, 1),
        );
      for (const i of taken) out[i] = part;
    }
    for (const i of free) out[i] = 'train';
  }
  return out.map((split) => split ?? 'train');
}

/** The rows of each stratum, in order; the smallest stratum first. */
function strataOf(rows: readonly Row[]): number[][] {
  const members = new Map<string, number[]>();
  for (const [i, { strata }] of rows.entries())
    for (const stratum of strata) {
      const of = members.get(stratum);
      if (of) of.push(i);
      else members.set(stratum, [i]);
    }
  return [...members].toSorted(([a, of], [b, other]) => of.length - other.length || (a < b ? -1 : 1)).map(([, of]) => of);
}
