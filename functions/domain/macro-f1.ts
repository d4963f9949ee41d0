/**
 * Macro F1 of answers with one label a row, of the rows and of bootstrap samples of them. Rows of one label that were answered alike are one group, and
 * a sample is a multinomial draw of the groups, as in paired-bootstrap.ts.
 */
import { drawMultinomial, percentileInterval, seededRandom } from '../../shared/statistics.ts';
import { macroOf, type Macro } from './paired-bootstrap.ts';

export const F1_RESAMPLES = 1_000;

/** Sums of the same shares in another order are the same. */
const ROUNDING = 1e-12;

type Group = { readonly label: number; readonly said: readonly number[]; readonly count: number };

/** One contender's mean over the labels that rows have of 2 · both / (has + said); `counts`: rows of each group. */
function meanF1(groups: readonly Group[], counts: readonly number[], who: number, labels: number): number {
  const [has, said, both] = [new Float64Array(labels), new Float64Array(labels), new Float64Array(labels)];
  for (const [g, group] of groups.entries()) {
    const n = counts[g]!;
    const answer = group.said[who]!;
    has[group.label]! += n;
    // A label that nobody here knows is wrong, and counts for no label.
    if (answer >= 0) said[answer]! += n;
    if (answer === group.label) both[answer]! += n;
  }
  let sum = 0;
  let seen = 0;
  for (let label = 0; label < labels; label++) {
    if (has[label] === 0) continue;
    sum += (2 * both[label]!) / (has[label]! + said[label]!);
    seen += 1;
  }
  return seen === 0 ? 0 : sum / seen;
}

/** `answers`: of each contender the label of every row, −1 for one that nobody here knows. The samples are the same for all. */
function drawF1(truth: readonly number[], answers: readonly (readonly number[])[], seed: number): { of: number[]; drawn: Float64Array[] } {
  const found = new Map<string, { label: number; said: number[]; count: number }>();
  let labels = 0;
  for (const [i, label] of truth.entries()) {
    const said = answers.map((one) => one[i]!);
    labels = Math.max(labels, label + 1, ...said.map((answer) => answer + 1));
    const key = `${label}/${said.join('/')}`;
    const group = found.get(key);
    if (group) group.count += 1;
    else found.set(key, { label, said, count: 1 });
  }
  const groups = [...found.values()];
  const observed = groups.map((group) => group.count);
  const random = seededRandom(seed);
  const drawn = answers.map(() => new Float64Array(F1_RESAMPLES));
  for (let r = 0; r < F1_RESAMPLES; r++) {
    const counts = drawMultinomial(observed, random);
    for (const [who, values] of drawn.entries()) values[r] = meanF1(groups, counts, who, labels);
  }
  return { of: answers.map((_, who) => meanF1(groups, observed, who, labels)), drawn };
}

/** With its 95 % interval. */
export function macroF1(truth: readonly number[], answers: readonly number[], seed: number) {
  const { of, drawn } = drawF1(truth, [answers], seed);
  return { value: of[0]!, interval: percentileInterval(drawn[0]!) };
}

/** The first's minus the second's, on the same rows. Deterministic for a seed. */
export function compareMacroF1(truth: readonly number[], first: readonly number[], second: readonly number[], seed: number): Macro {
  const { of, drawn } = drawF1(truth, [first, second], seed);
  const differences = drawn[0]!.map((value, r) => {
    const difference = value - drawn[1]![r]!;
    return Math.abs(difference) < ROUNDING ? 0 : difference;
  });
  return macroOf(of[0]! - of[1]!, differences);
}
