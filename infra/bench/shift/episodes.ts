/** Seeded episodes of domain shift: examples in one drawing style, inputs without labels in another, and held-out inputs that neither has seen. */
import type { EmbeddedSet } from '../accuracy/embeddings.ts';
import { seededRandom } from '../../../shared/statistics.ts';
import { drawDomains, rowsByLabel, shuffled } from '../accuracy/episodes.ts';

export type ShiftEpisode = {
  readonly labels: readonly string[];
  /** Rows of the source set. */
  readonly source: readonly number[];
  readonly sourceY: readonly number[];
  /** Rows of the target set, without labels; then those that answers are judged by. No thing that is an example is among them in another style. */
  readonly target: readonly number[];
  readonly held: readonly number[];
  readonly heldY: readonly number[];
  /** Rows of the target set of classes that are not enrolled. */
  readonly strangers: readonly number[];
  /** Rows of the target set of one enrolled class. */
  readonly oneClass: readonly number[];
};

const WAYS = 12;
export const TARGET_INPUTS = 64;
/** So many drawings of a class that the shots leave some to judge by. */
const ROWS_MIN = 24;

/** Of the same style too: then the target is other drawings of it, and there is nothing to adapt to. */
export function shiftEpisodes(source: EmbeddedSet, target: EmbeddedSet, shots: number, count: number): ShiftEpisode[] {
  const [from, to] = [rowsByLabel(source), rowsByLabel(target)];
  const shared = [...from.keys()].filter((label) => from.get(label)!.length >= ROWS_MIN && (to.get(label)?.length ?? 0) >= ROWS_MIN);
  return Array.from({ length: count }, (_, e) => {
    const next = seededRandom(e * 7_919 + source.name.length * 31 + target.name.length * 101 + shots);
    const order = shuffled(shared, next);
    const labels = order.slice(0, WAYS);
    const { rows, y: sourceY, pool } = drawDomains(source, target, labels, shots, next);
    const mixed = shuffled(pool, next);
    const held = mixed.slice(TARGET_INPUTS);
    const others = order.slice(WAYS).flatMap((label) => to.get(label)!);
    return {
      labels,
      source: rows,
      sourceY,
      target: mixed.slice(0, TARGET_INPUTS).map(({ row }) => row),
      held: held.map(({ row }) => row),
      heldY: held.map(({ y }) => y),
      strangers: shuffled(others, next).slice(0, TARGET_INPUTS),
      oneClass: pool.filter(({ y }) => y === 0).map(({ row }) => row),
    };
  });
}
