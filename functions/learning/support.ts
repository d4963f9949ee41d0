/** The enrolled examples that travel with a head, for its kernel, `nearest` and the open-set rule. */
import type { FeatureTransform, Support } from '../../shared/head.ts';
import { normaliseInPlace, transformFeature } from './features.ts';
import { byContent } from './folds.ts';
import { landmarksOf, type Landmarks } from './kernel.ts';
import { fitNovelty, type Novelty } from './novelty.ts';

/** At 1,472 dimensions this is 1.5 MB as shorts in an isolate's head cache. */
export const SUPPORT_ROWS_MAX = 512;

type Row = { readonly id: string; readonly labelsOf: readonly number[]; readonly base: Float32Array };

/** Places of at most `limit` rows; classes take turns, in the order of the rows, so that the small ones stay whole. */
export function takeTurns(classOf: readonly number[], limit: number): number[] {
  if (classOf.length <= limit) return [...classOf.keys()];
  const seen = new Map<number, number>();
  const turn = classOf.map((c) => {
    const t = (seen.get(c) ?? 0) + 1;
    seen.set(c, t);
    return t;
  });
  return [...classOf.keys()].toSorted((a, b) => turn[a]! - turn[b]! || a - b).slice(0, limit);
}

/** At most `limit` of the examples, classes in turn, the same ones however they were enrolled. */
export function supportRows<R extends Row>(examples: readonly R[], limit = SUPPORT_ROWS_MAX): R[] {
  const sorted = byContent(examples);
  return takeTurns(
    sorted.map((e) => e.labelsOf[0] ?? 0),
    limit,
  ).map((i) => sorted[i]!);
}

/** Which examples a head of them carries, in its order. */
export const supportIds = (examples: readonly Row[]): string[] => supportRows(examples).map((e) => e.id);

export type Chosen = {
  readonly support: Support;
  readonly landmarks: Landmarks;
  readonly novelty: Novelty;
  /** Which examples they are. */
  readonly ids: readonly string[];
};

/** SUPPORT_ROWS_MAX rows at most; null without examples. */
export function chooseSupport(examples: readonly Row[], transform: FeatureTransform, center: Float32Array, dimension: number): Chosen | null {
  if (examples.length === 0) return null;
  const chosen = supportRows(examples);
  const rows = new Float32Array(chosen.length * dimension);
  for (const [to, e] of chosen.entries()) {
    const x = transformFeature(e.base, transform, center);
    normaliseInPlace(x);
    rows.set(x, to * dimension);
  }
  const landmarks = landmarksOf(rows, chosen.length, dimension);
  const novelty = fitNovelty(landmarks);
  const labelOf = Int32Array.from(chosen, (e) => e.labelsOf[0] ?? 0);
  const support: Support = { embedding: 'base', transform, dimension, center, rows, labelOf, factor: novelty.factor };
  return { support, landmarks, novelty, ids: chosen.map((e) => e.id) };
}
