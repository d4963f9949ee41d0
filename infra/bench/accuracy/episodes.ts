/** Seeded few-shot episodes: classes drawn, `shots` support rows a class, query rows, and probes of classes that the head never hears of. */
import type { EmbeddedSet } from './embeddings.ts';

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

/** mulberry32: small, seeded, good enough to shuffle with. */
export function random(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function shuffled<T>(values: readonly T[], next: () => number): T[] {
  const out = [...values];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

/** Fewer than `count` (none) when the set has not two classes that are large enough. Two thirds of the classes are enrolled where that leaves probes. */
export function episodes(set: EmbeddedSet, shots: number, count: number): Episode[] {
  const by = set.labels.map((_, c) => set.y.flatMap((label, row) => (label === c ? [row] : [])));
  const large = [...by.keys()].filter((c) => by[c]!.length >= shots + QUERIES_MIN);
  const ways = Math.min(WAYS_MAX, large.length > 4 ? Math.ceil((large.length * 2) / 3) : large.length);
  if (ways < 2) return [];
  return Array.from({ length: count }, (_, e) => {
    const next = random(shots * 1_000_003 + e * 7_919 + set.name.length * 31);
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
