/** One seeded draw of a transfer: labelled source rows, target rows without labels, rows for the gate, and rows that nothing but the truth sees. */
import type { EmbeddedSet } from '../accuracy/embeddings.ts';
import { seededRandom } from '../../../shared/statistics.ts';
import { drawDomains, rowsByLabel, shuffled } from '../accuracy/episodes.ts';

type Labelled = { readonly rows: readonly number[]; readonly y: readonly number[] };
export type Episode = {
  /** Index into the labels of the sets, per class of the episode. */
  readonly labels: readonly string[];
  /** Rows of the source; those below are rows of the target, or of the source again where there is none. */
  readonly train: Labelled;
  readonly unlabelled: readonly number[];
  readonly gate: Labelled;
  readonly test: Labelled;
};

const WAYS = 10;
const UNLABELLED = 64;
/** So many rows of a class must be left beside the labelled ones. */
const REST_MIN = 12;
const GATE_SHARE = 0.4;
const GATE_ROWS_MAX = 120;
const TEST_ROWS_MAX = 240;

/** No thing that is a labelled source row comes back in another style. @throws Error when fewer than two classes are large enough */
export function drawEpisode(source: EmbeddedSet, target: EmbeddedSet | null, size: number, seed: number): Episode {
  const far = target ?? source;
  const [from, to] = [rowsByLabel(source), rowsByLabel(far)];
  const large = [...from.keys()].filter((label) => Math.min(from.get(label)!.length, to.get(label)?.length ?? 0) >= size + REST_MIN).toSorted();
  if (large.length < 2) throw new Error(`${source.name}: fewer than two classes have ${size + REST_MIN} rows`);
  const next = seededRandom(seed * 7_919 + source.name.length * 31 + far.name.length * 101 + size);
  const labels = shuffled(large, next).slice(0, WAYS);
  const { rows, y, pool } = drawDomains(source, far, labels, size, next);
  const mixed = shuffled(pool, next);
  const free = target ? UNLABELLED : 0;
  const rest = mixed.slice(free);
  const cut = Math.min(GATE_ROWS_MAX, Math.round(rest.length * GATE_SHARE));
  const part = (list: readonly { row: number; y: number }[]): Labelled => ({ rows: list.map((p) => p.row), y: list.map((p) => p.y) });
  return {
    labels,
    train: { rows, y },
    unlabelled: mixed.slice(0, free).map((p) => p.row),
    gate: part(rest.slice(0, cut)),
    test: part(rest.slice(cut, cut + TEST_ROWS_MAX)),
  };
}
