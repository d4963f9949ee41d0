/** Seeded few-shot episodes: classes drawn, `shots` support rows a class, query rows, and probes of classes that the head never hears of. */
import { seededRandom } from '../../../shared/statistics.ts';
import type { MeasuredSet } from './embeddings.ts';

export type Episode = {
  readonly classes: readonly number[];
  /** Rows of the set; labels index `classes`. */
  readonly support: readonly number[];
  readonly supportY: readonly number[];
  readonly query: readonly number[];
  readonly queryY: readonly number[];
  readonly probes: readonly number[];
};

const WAYS_MAX = 12;
const QUERIES_PER_CLASS = 15;
const QUERIES_MIN = 8;
const PROBES_MAX = 100;

export function shuffled<T>(values: readonly T[], next: () => number): T[] {
  const out = [...values];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

/** Fewer than `count` (none) when the set has not two classes that are large enough. Two thirds of the classes are enrolled where that leaves probes. */
export function episodes(set: MeasuredSet, shots: number, count: number): Episode[] {
  const by = set.labels.map((_, c) => set.y.flatMap((label, row) => (label === c ? [row] : [])));
  const large = [...by.keys()].filter((c) => by[c]!.length >= shots + QUERIES_MIN);
  const ways = Math.min(WAYS_MAX, large.length > 4 ? Math.ceil((large.length * 2) / 3) : large.length);
  if (ways < 2) return [];
  return Array.from({ length: count }, (_, e) => {
    const next = seededRandom(shots * 1_000_003 + e * 7_919 + set.name.length * 31);
    const classes = shuffled(large, next).slice(0, ways);
    const support: number[] = [];
    const supportY: number[] = [];
    const query: number[] = [];
    const queryY: number[] = [];
    for (const [i, c] of classes.entries()) {
      const rows = shuffled(by[c]!, next);
      for (const row of rows.slice(0, shots)) {
        support.push(row);
        supportY.push(i);
      }
      for (const row of rows.slice(shots, shots + QUERIES_PER_CLASS)) {
        query.push(row);
        queryY.push(i);
      }
    }
    const others = [...by.keys()].filter((c) => !classes.includes(c)).flatMap((c) => by[c]!);
    return { classes, support, supportY, query, queryY, probes: shuffled(others, next).slice(0, PROBES_MAX) };
  });
}

export const rowsByLabel = (set: MeasuredSet): Map<string, number[]> => Map.groupBy(set.y.keys(), (row) => set.labels[set.y[row]!]!);

/** `shots` source rows of each label, and the target rows that may be met: no thing that is an example is among them in another style. */
export function drawDomains(
  source: MeasuredSet,
  target: MeasuredSet,
  labels: readonly string[],
  shots: number,
  next: () => number,
): { readonly rows: number[]; readonly y: number[]; readonly pool: { readonly row: number; readonly y: number }[] } {
  const [from, to] = [rowsByLabel(source), rowsByLabel(target)];
  const rows: number[] = [];
  const y: number[] = [];
  const pool: { row: number; y: number }[] = [];
  for (const [c, label] of labels.entries()) {
    const chosen = shuffled(from.get(label)!, next).slice(0, shots);
    const things = new Set(chosen.map((row) => source.ids[row]));
    rows.push(...chosen);
    y.push(...chosen.map(() => c));
    for (const row of to.get(label)!) if (!things.has(target.ids[row])) pool.push({ row, y: c });
  }
  return { rows, y, pool };
}
