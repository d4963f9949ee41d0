/** From embeddings and a head to an answer. The same function serves predictions, evaluation and exports' tests. */
import { KERNEL_POWER, type Head, type HeadComponent, type KernelPower, type OpenSetRule, type Support } from '../../shared/head.ts';
import { softmax } from './calibration.ts';
import { dotRows } from './dot-rows.ts';
import { argmax, standardise, transformFeature } from './features.ts';
import { kernelInPlace } from './kernel.ts';
import { variance } from './novelty.ts';
import { largest } from './open-set.ts';
import { largestFirst } from './order.ts';
import { placesOf, type Feature, type Placed } from './placed.ts';

export type Embeddings = { readonly base: Float32Array; readonly tuned: Float32Array | null };
export type Answer = {
  /** In descending order of score; probabilities. */
  readonly scores: { readonly label: string; readonly score: number }[];
  /** null exactly when unknown. */
  readonly label: string | null;
  /** multi_label: those with probability ≥ ½. */
  readonly labels: string[];
  readonly unknown: boolean;
  readonly confidence: number;
  readonly nearest: { readonly label: string; readonly similarity: number } | null;
};

/** Probability from which a label of a multi-label classifier counts as present. */
export const PRESENT = 0.5;

function pick(e: Embeddings, which: 'base' | 'tuned'): Float32Array {
  const found = which === 'base' ? e.base : e.tuned;
  if (!found) throw new RangeError('this head needs the embedding of its tuned tail');
  return found;
}

/** An embedding as the parts of a head see it; parts in a row with the same transform and centre share the work. */
class Features {
  #last: { readonly part: HeadComponent | Support; readonly feature: Feature } | null = null;
  readonly #from: Embeddings;
  constructor(from: Embeddings) {
    this.#from = from;
  }

  of(part: HeadComponent | Support): Feature {
    const last = this.#last?.part;
    if (last && last.center === part.center && last.transform === part.transform && last.embedding === part.embedding) return this.#last!.feature;
    const raw = pick(this.#from, part.embedding);
    const feature = placesOf(part)?.center.features(raw, part.transform) ?? plainFeature(raw, part);
    this.#last = { part, feature };
    return feature;
  }
}

function plainFeature(raw: Float32Array, { transform, center }: HeadComponent | Support): Feature {
  const x = transformFeature(raw, transform, center);
  // A loop, not reduce: that alone took longer than the products of a small head.
  let squares = 0;
  for (let i = 0; i < x.length; i++) squares += x[i]! * x[i]!;
  return { x, squares };
}

/** An embedding beside the support rows. */
class Similarities {
  readonly cosines: Float64Array | Float32Array;
  readonly #rows: Placed | undefined;
  #kernel: { readonly power: KernelPower; readonly values: Float64Array | Float32Array } | null = null;
  /** @param rows where they lie, if the cosines were made there */
  constructor(cosines: Float64Array | Float32Array, rows?: Placed) {
    this.cosines = cosines;
    this.#rows = rows;
  }

  /** κ: the open-set rule and the components that the edge solves ask for the same. */
  kernel(power: KernelPower): Float64Array | Float32Array {
    if (this.#kernel?.power !== power)
      this.#kernel = { power, values: this.#rows?.kernelOf(this.cosines, power) ?? kernelInPlace(Float64Array.from(this.cosines), power) };
    return this.#kernel.values;
  }
}

type Scored = Pick<Head, 'components' | 'support'> & Partial<Pick<Head, 'standardisation'>> & { readonly labels: { readonly length: number } };

/** Embeddings as the parts of a head read them. */
const asRead = ({ standardisation: by }: Partial<Pick<Head, 'standardisation'>>, e: Embeddings): Embeddings =>
  by ? { ...e, base: standardise(by, e.base) } : e;

/** Raw scores before the temperature, [labels], and the support rows as they look from the embedding. */
type Seen = { readonly raw: Float64Array; readonly similar: Similarities };

/** @param compare whether the cosines are wanted although no component reads them */
function see(head: Scored, given: Embeddings, compare = true): Seen {
  const labels = head.labels.length;
  const e = asRead(head, given);
  const features = new Features(e);
  const similar = compare || head.components.some((k) => k.kernel) ? similaritiesOf(head, features) : new Similarities(new Float64Array(0));
  const raw = new Float64Array(labels);
  for (const k of head.components) {
    if (k.mix === 0) continue;
    const { length } = pick(e, k.embedding);
    if (length !== k.dimension) throw new RangeError(`the embedding has ${length} values, the head expects ${k.dimension}`);
    const x = k.kernel ? similar.kernel(k.kernel.power) : features.of(k).x;
    const products = new Float64Array(labels);
    if (!placesOf(k)?.weight?.multiply(x, labels, products)) dotRows(k.weight, x, labels, products);
    for (let c = 0; c < labels; c++) raw[c]! += k.mix * (k.bias[c]! + products[c]!);
  }
  return { raw, similar };
}

function similaritiesOf({ support: s }: Pick<Head, 'support'>, features: Features): Similarities {
  if (!s || s.labelOf.length === 0) return new Similarities(new Float64Array(0));
  const { x, squares } = features.of(s);
  const its = placesOf(s);
  let seen = x;
  // Asked of the places first: rows that lie there as shorts are written out whenever they are read.
  if (its ? its.basis : s.basis) {
    seen = its?.basis?.project(x) ?? dotRows(s.basis!, x, s.rows.length / s.labelOf.length);
  }
  const scale = squares > 0 ? 1 / Math.sqrt(squares) : 1;
  const there = its?.rows?.compare(seen, scale);
  if (there) return new Similarities(there, its!.rows);
  const products = new Float64Array(s.labelOf.length);
  if (!its?.rows?.multiply(seen, products.length, products)) dotRows(s.rows, seen, products.length, products);
  for (let r = 0; r < products.length; r++) products[r]! *= scale;
  return new Similarities(products);
}

/** score_c = Σ mix · (W·φ(x) + b): raw scores before the temperature, [labels]. */
export const rawScores = (head: Scored, e: Embeddings): Float64Array => see(head, e, false).raw;

type Compared = Pick<Head, 'support'> & Partial<Pick<Head, 'standardisation'>>;

/** Cosine similarity to every support row (both centred), [rows]; empty without support. */
export const supportCosines = (head: Compared, e: Embeddings): Float64Array =>
  Float64Array.from(similaritiesOf(head, new Features(asRead(head, e))).cosines);

/** Cosine similarity to the nearest support row, and its index; null without support. */
export function nearestSupport(head: Compared, e: Embeddings): { row: number; similarity: number } | null {
  return nearestOf(supportCosines(head, e));
}

function nearestOf(cosines: Float64Array | Float32Array): { row: number; similarity: number } | null {
  if (cosines.length === 0) return null;
  const row = argmax(cosines);
  return { row, similarity: cosines[row]! };
}

type Weights = Pick<OpenSetRule, 'bestWeight' | 'varianceWeight'>;

/** u(x) = best score − w · v(x): the quantity that the open-set rule compares with its threshold (open-set.ts). */
export const knownness = (head: Scored, rule: Weights, e: Embeddings): number => knownnessOf(head, rule, see(head, e));

function knownnessOf({ support }: Scored, { bestWeight, varianceWeight }: Weights, { raw, similar }: Seen): number {
  const v = support && similar.cosines.length > 0 && varianceWeight !== 0 ? varianceOf(support, similar.kernel(KERNEL_POWER)) : 0;
  return bestWeight * largest(raw) - varianceWeight * v;
}

function varianceOf(support: Support, kernel: Float64Array | Float32Array): number {
  const squares = placesOf(support)?.factor?.lowerSquares(kernel) ?? null;
  return squares === null ? variance(support.factor, kernel) : 1 - squares;
}

/**
 * The calibrated answer. Throws RangeError when an embedding has the wrong length or is not finite.
 * @param top how many scores are wanted; all of them when absent
 */
export function scoreHead(head: Head, e: Embeddings, top = head.labels.length): Answer {
  const seen = see(head, e);
  const { raw } = seen;
  const multi = head.task === 'multi_label';
  const p = multi ? raw.map((s) => 1 / (1 + Math.exp((-2 * s) / head.temperature))) : softmax(raw, head.temperature);
  const order = largestFirst(p, Math.max(top, 1));
  const scores = order.map((i) => ({ label: head.labels[i]!, score: p[i]! }));
  const near = nearestOf(seen.similar.cosines);
  // An example may have no label to be near to.
  const itsLabel = near && head.labels[head.support!.labelOf[near.row]!];
  const nearest = near && itsLabel !== undefined ? { label: itsLabel!, similarity: Math.min(1, near.similarity) } : null;
  const rule = head.openSet;
  const unknown = rule !== null && knownnessOf(head, rule, seen) < rule.threshold;
  return {
    scores: scores.slice(0, top),
    label: unknown ? null : (scores[0]?.label ?? null),
    labels: multi && !unknown ? presentLabels(head, p, scores) : [],
    unknown,
    confidence: scores[0]?.score ?? 0,
    nearest,
  };
}

/** Those with probability ≥ PRESENT, surest first, also beyond the scores that were asked for. */
function presentLabels(head: Head, p: Float64Array, scores: Answer['scores']): string[] {
  const count = p.reduce((n, v) => n + (v >= PRESENT ? 1 : 0), 0);
  if (count <= scores.length) return scores.slice(0, count).map((s) => s.label);
  return largestFirst(p, count).map((i) => head.labels[i]!);
}
