/**
 * Temperature scaling (Guo et al. 2017) on left-out scores of n rows. With few rows the estimate is shrunk towards a prior, and the targets are
 * softened as in Platt (1999), so that a handful of rows that all happen to be right cannot make the answers sure: the temperature t minimises
 *   Σᵢ −Σ_c qᵢ_c log softmax(scoresᵢ / t)_c + κ/2 · (log t − log t₀)²,   q = (n+1)/(n+2) on the row's label, the rest shared by the other labels.
 */

/**
 * What a score exactly on its ±1 targets is believed with before there is evidence; t₀ follows from it, and grows as classes get fewer.
 * Chosen, with its strength, on data that no benchmark reads (docs/decisions/0004).
 */
const PRIOR_BELIEF = 0.9999;
/** The same for scores of labels' words and of several labels at once, which were not looked at when PRIOR_BELIEF was chosen. */
export const CAUTIOUS_BELIEF = 0.9975;
/** κ: the prior weighs about as much as this many rows. */
const PRIOR_STRENGTH = 16;
const LOG_RANGE = [Math.log(0.01), Math.log(5)] as const;
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** softmax(scores / temperature). */
export function softmax(scores: ArrayLike<number>, temperature: number): Float64Array {
  const p = new Float64Array(scores.length);
  let max = -Infinity;
  for (let i = 0; i < p.length; i++) max = Math.max(max, (p[i] = scores[i]! / temperature));
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += p[i] = Math.exp(p[i]! - max);
  for (let i = 0; i < p.length; i++) p[i]! /= sum;
  return p;
}

/** t₀ = 2 / (log(k − 1) + logit(belief)): with +1 for its label and −1 for the k − 1 others, a row is believed so much. */
export function priorTemperature(labels: number, belief = PRIOR_BELIEF): number {
  return 2 / (Math.log(Math.max(1, labels - 1)) + Math.log(belief / (1 - belief)));
}

/** Cross-entropy summed over rows, `soft` of each target shared by the other labels. `scores` row-major [rows × labels]. */
export function logLoss(scores: Float64Array, truth: readonly number[], labels: number, temperature: number, soft = 0): number {
  let loss = 0;
  const share = labels > 1 ? soft / (labels - 1) : 0;
  for (const [i, own] of truth.entries()) {
    const at = i * labels;
    let max = -Infinity;
    let total = 0;
    for (let c = 0; c < labels; c++) {
      max = Math.max(max, scores[at + c]!);
      total += scores[at + c]!;
    }
    let sum = 0;
    for (let c = 0; c < labels; c++) sum += Math.exp((scores[at + c]! - max) / temperature);
    const expected = (1 - labels * share) * scores[at + own]! + share * total;
    loss += Math.log(sum) + (max - expected) / temperature;
  }
  return loss;
}

/** The temperature described above, and the penalised loss there. No rows: the prior. */
export function fitTemperature(
  scores: Float64Array,
  truth: readonly number[],
  labels: number,
  belief = PRIOR_BELIEF,
): { temperature: number; loss: number } {
  const prior = Math.log(priorTemperature(labels, belief));
  const soft = 1 / (truth.length + 2);
  const objective = (log: number): number => logLoss(scores, truth, labels, Math.exp(log), soft) + (PRIOR_STRENGTH / 2) * (log - prior) ** 2;
  let [a, b] = [...LOG_RANGE] as [number, number];
  let c = b - GOLDEN * (b - a);
  let d = a + GOLDEN * (b - a);
  let fc = objective(c);
  let fd = objective(d);
  while (b - a > 1e-4) {
    if (fc < fd) {
      [b, d, fd] = [d, c, fc];
      c = b - GOLDEN * (b - a);
      fc = objective(c);
    } else {
      [a, c, fc] = [c, d, fd];
      d = a + GOLDEN * (b - a);
      fd = objective(d);
    }
  }
  const log = (a + b) / 2;
  return { temperature: Math.exp(log), loss: objective(log) };
}
