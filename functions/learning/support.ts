/** The enrolled examples that travel with a head, for its kernel, `nearest` and the open-set rule. */
import { KERNEL_POWER, type FeatureTransform, type Support } from '../../shared/head.ts';
import { normaliseInPlace, transformFeature } from './features.ts';
import { byContent } from './folds.ts';
import { APART, farthestFirst, span, widthFor } from './basis.ts';
import { cosinesBetween, kernelInPlace, landmarksOf, type Landmarks } from './kernel.ts';
import { fitNovelty, type Novelty } from './novelty.ts';

export const SUPPORT_ROWS_MAX = 512;
/** In place of the label of an example that has none (of several labels): a class of its own. */
export const NO_LABEL = -1;

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
    sorted.map((e) => e.labelsOf[0] ?? NO_LABEL),
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

/** Rows as a head keeps them: as they are, or in the directions that they span (basis.ts), where the farthest come first. */
export type Kept = Pick<Support, 'basis' | 'rows' | 'factor'> & {
  readonly landmarks: Landmarks;
  readonly novelty: Novelty;
  /** Which of the given rows each is. */
  readonly order: readonly number[];
};

/** @param rows row-major [m × d], of unit length */
export function keepRows(rows: Float32Array, m: number, d: number, classes: number): Kept {
  const width = widthFor(m, d, classes);
  if (width === null) {
    const landmarks = landmarksOf(rows, m, d);
    const novelty = fitNovelty(landmarks);
    return { basis: null, rows, factor: novelty.factor, landmarks, novelty, order: Array.from({ length: m }, (_, i) => i) };
  }
  const given = cosinesBetween(rows, m, d);
  const order = farthestFirst(kernelInPlace(given.slice(), KERNEL_POWER), m);
  const sorted = new Float32Array(m * d);
  for (const [to, from] of order.entries()) sorted.set(rows.subarray(from * d, (from + 1) * d), to * d);
  const cosines = Float64Array.from(given, (_, at) => given[order[Math.floor(at / m)]! * m + order[at % m]!]!);
  const { basis, coordinates } = span(sorted, cosines, m, d, width);
  const landmarks = landmarksOf(coordinates, m, width);
  const novelty = fitNovelty(landmarks, APART);
  return { basis, rows: coordinates, factor: novelty.factor, landmarks, novelty, order };
}

/** SUPPORT_ROWS_MAX rows at most; null without examples. */
export function chooseSupport(examples: readonly Row[], transform: FeatureTransform, center: Float32Array, dimension: number): Chosen | null {
  if (examples.length === 0) return null;
  const given = supportRows(examples);
  const units = new Float32Array(given.length * dimension);
  for (const [to, e] of given.entries()) {
    const x = transformFeature(e.base, transform, center);
    normaliseInPlace(x);
    units.set(x, to * dimension);
  }
  const classes = new Set(given.map((e) => e.labelsOf[0] ?? NO_LABEL)).size;
  const { basis, rows, factor, landmarks, novelty, order } = keepRows(units, given.length, dimension, classes);
  const chosen = order.map((i) => given[i]!);
  const labelOf = Int32Array.from(chosen, (e) => e.labelsOf[0] ?? NO_LABEL);
  const support: Support = { embedding: 'base', transform, dimension, center, basis, rows, labelOf, factor };
  return { support, landmarks, novelty, ids: chosen.map((e) => e.id) };
}
