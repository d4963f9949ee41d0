/** From embeddings and a head to an answer. The same function serves predictions, evaluation and exports' tests. */
import type { Head, HeadComponent, Support } from '../../shared/head.ts';
import { softmax } from './calibration.ts';
import { dotRows } from './dot-rows.ts';
import { transformFeature } from './features.ts';
import { largestFirst } from './order.ts';
import { placeOf, type Feature } from './placed.ts';

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
    const feature = placeOf(part.center)?.features(raw, part.transform) ?? plainFeature(raw, part);
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

/** score_c = Σ mix · (W·(φ(x) − center) + b): raw scores before the temperature, [labels]. */
export function rawScores(components: readonly HeadComponent[], labels: number, e: Embeddings, features = new Features(e)): Float64Array {
  const scores = new Float64Array(labels);
  for (const k of components) {
    if (k.mix === 0) continue;
    const raw = pick(e, k.embedding);
    if (raw.length !== k.dimension) throw new RangeError(`the embedding has ${raw.length} values, the head expects ${k.dimension}`);
    const products = dotRows(k.weight, features.of(k).x, labels);
    for (let c = 0; c < labels; c++) scores[c]! += k.mix * (k.bias[c]! + products[c]!);
  }
  return scores;
}

/** Cosine similarity to the nearest support row (both centred), and its index; null without support. */
export function nearestSupport(head: Pick<Head, 'support'>, e: Embeddings, features = new Features(e)): { row: number; similarity: number } | null {
  const s = head.support;
  if (!s || s.labelOf.length === 0) return null;
  const { x, squares } = features.of(s);
  let row = 0;
  let largest = -Infinity;
  const products = dotRows(s.rows, x, s.labelOf.length);
  for (let r = 0; r < products.length; r++) if (products[r]! > largest) [largest, row] = [products[r]!, r];
  return { row, similarity: squares > 0 ? largest / Math.sqrt(squares) : largest };
}

/**
 * The calibrated answer. Throws RangeError when an embedding has the wrong length or is not finite.
 * @param top how many scores are wanted; all of them when absent
 */
export function scoreHead(head: Head, e: Embeddings, top = head.labels.length): Answer {
  const features = new Features(e);
  const raw = rawScores(head.components, head.labels.length, e, features);
  const multi = head.task === 'multi_label';
  const p = multi ? raw.map((s) => 1 / (1 + Math.exp((-2 * s) / head.temperature))) : softmax(raw, head.temperature);
  const order = largestFirst(p, Math.max(top, 1));
  const scores = order.map((i) => ({ label: head.labels[i]!, score: p[i]! }));
  const near = nearestSupport(head, e, features);
  const nearest = near && { label: head.labels[head.support!.labelOf[near.row]!]!, similarity: near.similarity };
  let best = -Infinity;
  for (const s of raw) best = Math.max(best, s);
  const rule = head.openSet;
  const unknown = rule !== null && rule.bestWeight * best + rule.nearestWeight * (near?.similarity ?? 0) < rule.threshold;
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
