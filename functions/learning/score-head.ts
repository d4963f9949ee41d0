/** From embeddings and a head to an answer. The same function serves predictions, evaluation and exports' tests. */
import type { Head, HeadComponent } from '../../shared/head.ts';
import { softmax } from './calibration.ts';
import { dotRows } from './dot-rows.ts';
import { normaliseInPlace, transformFeature } from './features.ts';

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

/** score_c = Σ mix · (W·(φ(x) − center) + b): raw scores before the temperature, [labels]. */
export function rawScores(components: readonly HeadComponent[], labels: number, e: Embeddings): Float64Array {
  const scores = new Float64Array(labels);
  for (const k of components) {
    if (k.mix === 0) continue;
    const raw = pick(e, k.embedding);
    if (raw.length !== k.dimension) throw new RangeError(`the embedding has ${raw.length} values, the head expects ${k.dimension}`);
    const x = transformFeature(raw, k.transform, k.center);
    const products = dotRows(k.weight, x, labels);
    for (let c = 0; c < labels; c++) scores[c]! += k.mix * (k.bias[c]! + products[c]!);
  }
  return scores;
}

/** Cosine similarity to the nearest support row (both centred), and its index; null without support. */
export function nearestSupport(head: Pick<Head, 'support'>, e: Embeddings): { row: number; similarity: number } | null {
  const s = head.support;
  if (!s || s.labelOf.length === 0) return null;
  const x = transformFeature(pick(e, s.embedding), s.transform, s.center);
  normaliseInPlace(x);
  let row = 0;
  let similarity = -Infinity;
  const products = dotRows(s.rows, x, s.labelOf.length);
  for (const [r, product] of products.entries()) if (product > similarity) [similarity, row] = [product, r];
  return { row, similarity };
}

/** The calibrated answer. Throws RangeError when an embedding has the wrong length or is not finite. */
export function scoreHead(head: Head, e: Embeddings): Answer {
  const raw = rawScores(head.components, head.labels.length, e);
  const multi = head.task === 'multi_label';
  const p = multi ? raw.map((s) => 1 / (1 + Math.exp((-2 * s) / head.temperature))) : softmax(raw, head.temperature);
  const order = [...p.keys()].toSorted((a, b) => p[b]! - p[a]! || a - b);
  const scores = order.map((i) => ({ label: head.labels[i]!, score: p[i]! }));
  const near = nearestSupport(head, e);
  const nearest = near && { label: head.labels[head.support!.labelOf[near.row]!]!, similarity: near.similarity };
  let best = -Infinity;
  for (const s of raw) best = Math.max(best, s);
  const rule = head.openSet;
  const unknown = rule !== null && rule.bestWeight * best + rule.nearestWeight * (near?.similarity ?? 0) < rule.threshold;
  return {
    scores,
    label: unknown ? null : (scores[0]?.label ?? null),
    labels: multi && !unknown ? scores.filter((s) => s.score >= PRESENT).map((s) => s.label) : [],
    unknown,
    confidence: scores[0]?.score ?? 0,
    nearest,
  };
}
