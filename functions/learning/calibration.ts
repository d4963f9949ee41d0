/**
 * Temperature scaling (Guo et al. 2017) on left-out scores. With few rows the estimate is shrunk towards a prior: the temperature t minimises
 *   Σᵢ −log softmax(scoresᵢ / t)[labelᵢ] + κ/2 · (log t − log t₀)²
 * so that two examples a class cannot make the answers over-confident.
 */

/** t₀: what ridge scores on ±1 targets need in the median of picture and text sets (docs/decisions/0004). */
export const PRIOR_TEMPERATURE = 0.25;
/** κ: the prior weighs about as much as this many rows. */
const PRIOR_STRENGTH = 8;
const LOG_RANGE = [Math.log(0.01), Math.log(5)] as const;
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** log Σ exp, safe for large values. */
export function logSumExp(values: ArrayLike<number>): number {
  let max = -Infinity;
  for (let i = 0; i < values.length; i++) max = Math.max(max, values[i]!);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.exp(values[i]! - max);
  return max + Math.log(sum);
}

/** softmax(scores / temperature). */
export function softmax(scores: ArrayLike<number>, temperature: number): Float64Array {
  const scaled = Float64Array.from(scores, (s) => s / temperature);
  const total = logSumExp(scaled);
  return scaled.map((s) => Math.exp(s - total));
}

/** Sum of −log p of the true label over rows. `scores` row-major [rows × labels]. */
export function logLoss(scores: Float64Array, truth: readonly number[], labels: number, temperature: number): number {
  let loss = 0;
  for (const [i, c] of truth.entries()) {
    const row = scores.subarray(i * labels, (i + 1) * labels).map((s) => s / temperature);
    loss += logSumExp(row) - row[c]!;
  }
  return loss;
}

/** The temperature described above, and the penalised loss there. No rows: the prior. */
export function fitTemperature(
  scores: Float64Array,
  truth: readonly number[],
  labels: number,
  prior: number = PRIOR_TEMPERATURE,
): { temperature: number; loss: number } {
  const objective = (log: number): number => logLoss(scores, truth, labels, Math.exp(log)) + (PRIOR_STRENGTH / 2) * (log - Math.log(prior)) ** 2;
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
