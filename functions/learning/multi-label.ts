/** Heads that give each input any number of labels: every label is its own yes or no, p_c = σ(2·score_c / t). */
import { CAUTIOUS_BELIEF, priorTemperature } from './calibration.ts';

/** The prior on log t weighs about as much as this many decisions. */
const PRIOR_STRENGTH = 16;
const LOG_RANGE = [Math.log(0.01), Math.log(5)] as const;
const STEPS = 200;

/** log(1 + eˣ), safe for large x. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** σ(2·score / t): the 2 because targets are ±1 and a yes is told from a no at 0. */
export const sigmoidOf = (score: number, temperature: number): number => 1 / (1 + Math.exp((-2 * score) / temperature));

/**
 * Temperature of the sigmoids from left-out scores: Platt's (1999) softened targets on every pair of row and label, shrunk towards the prior of two
 * classes. No rows: the prior.
 * @param scores row-major [rows × labels], of heads that never saw the row; `labelsOf` the labels each row has
 */
export const fitSigmoidTemperature = (scores: Float64Array, labelsOf: readonly (readonly number[])[], labels: number): number =>
  fitSigmoids(scores, labelsOf, labels).temperature;

/** That temperature, and the penalised loss there. */
export function fitSigmoids(scores: Float64Array, labelsOf: readonly (readonly number[])[], labels: number): { temperature: number; loss: number } {
  const prior = Math.log(priorTemperature(2, CAUTIOUS_BELIEF));
  const soft = 1 / (labelsOf.length + 2);
  const signs = new Float64Array(labelsOf.length * labels).fill(-1);
  for (const [i, own] of labelsOf.entries()) for (const c of own) signs[i * labels + c] = 1;
  const loss = (log: number): number => {
    const t = Math.exp(log);
    let sum = (PRIOR_STRENGTH / 2) * (log - prior) ** 2;
    for (let i = 0; i < signs.length; i++) {
      const x = (2 * signs[i]! * scores[i]!) / t;
      sum += softplus(-x) + soft * x;
    }
    return sum;
  };
  let best = prior;
  let least = loss(prior);
  for (let step = 0; step <= STEPS; step++) {
    const log = LOG_RANGE[0] + ((LOG_RANGE[1] - LOG_RANGE[0]) * step) / STEPS;
    const value = loss(log);
    if (value < least) [least, best] = [value, log];
  }
  return { temperature: Math.exp(best), loss: least };
}

/** Indices of the labels that a row of scores says yes to. */
export function yesOf(scores: Float64Array): number[] {
  return [...scores.keys()].filter((c) => scores[c]! >= 0);
}

/** Rows whose labels are said exactly, none more and none less. */
export function exactMatches(scores: Float64Array, labelsOf: readonly (readonly number[])[], labels: number): number {
  return labelsOf.filter((own, i) => {
    const said = yesOf(scores.subarray(i * labels, (i + 1) * labels));
    return said.length === new Set(own).size && said.every((c) => own.includes(c));
  }).length;
}
