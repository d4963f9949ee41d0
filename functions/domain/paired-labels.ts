/**
 * Compares two classifiers of several labels on the same held-out rows: by exact matches as `comparePaired` does, by each label on the rows that have it,
 * and by the mean F1 score of the labels. Rows are drawn with replacement, for both alike (Efron and Tibshirani 1993), because a row's labels go together.
 */
import { quantile, seededRandom } from '../../shared/statistics.ts';
import { comparePaired, type PairedComparison } from './paired-bootstrap.ts';

export const LABEL_RESAMPLES = 1_000;

export type LabelTruth = { readonly truth: readonly (readonly number[])[]; readonly labels: number };
/** Labels that a row is said to have. */
export type Said = readonly (readonly number[])[];

/** Rows whose labels are said exactly, none more and none less. */
export function exactly({ truth }: LabelTruth, said: Said): boolean[] {
  return truth.map((own, i) => {
    const mine = said[i]!;
    return mine.length === own.length && mine.every((label) => own.includes(label));
  });
}

/** Per label: rows that have it, that are said to, and both. */
type Counts = { readonly has: Float64Array; readonly said: Float64Array; readonly both: Float64Array };

/** What each row adds to the counts; drawing rows again adds numbers only. */
class Tally {
  readonly #own: Said;
  readonly #said: Said;
  readonly #both: Said;
  readonly #labels: number;
  constructor({ truth, labels }: LabelTruth, said: Said) {
    this.#labels = labels;
    this.#own = truth;
    // A label that this one does not know is wrong in an exact match, and counts for no label here.
    this.#said = said.map((mine) => mine.filter((label) => label >= 0));
    this.#both = this.#said.map((mine, i) => mine.filter((label) => truth[i]!.includes(label)));
  }

  of(rows: ArrayLike<number>): Counts {
    const [has, said, both] = [this.#labels, this.#labels, this.#labels].map((k) => new Float64Array(k)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    for (let r = 0; r < rows.length; r++) {
      const i = rows[r]!;
      for (const label of this.#own[i]!) has[label]! += 1;
      for (const label of this.#said[i]!) said[label]! += 1;
      for (const label of this.#both[i]!) both[label]! += 1;
    }
    return { has, said, both };
  }
}

/** Mean over labels that some row has. */
function meanOver({ has, said, both }: Counts, of: (has: number, said: number, both: number) => number): number {
  let sum = 0;
  let seen = 0;
  for (let c = 0; c < has.length; c++) {
    if (has[c] === 0) continue;
    sum += of(has[c]!, said[c]!, both[c]!);
    seen += 1;
  }
  return seen === 0 ? 0 : sum / seen;
}

/** Mean of 2 · both / (has + said) and of both / has over labels that some row has. */
const macroF1 = (counts: Counts): number => meanOver(counts, (has, said, both) => (2 * both) / (has + said));
const macroRecall = (counts: Counts): number => meanOver(counts, (has, _, both) => both / has);

function* draws(rows: number, seed: number): Generator<Uint32Array> {
  const random = seededRandom(seed);
  const drawn = new Uint32Array(rows);
  for (let r = 0; r < LABEL_RESAMPLES; r++) {
    for (let i = 0; i < rows; i++) drawn[i] = Math.floor(random() * rows);
    yield drawn;
  }
}

const everyRow = ({ truth }: LabelTruth): number[] => [...truth.keys()];
const estimate = (value: number, drawn: Float64Array) => ({ value, interval: { low: quantile(drawn, 0.025), high: quantile(drawn, 0.975) } });

/** Macro recall and macro F1, with bootstrap intervals. */
export function macroMetrics(of: LabelTruth, said: Said, seed: number) {
  const tally = new Tally(of, said);
  const whole = tally.of(everyRow(of));
  const [recalls, scores] = [new Float64Array(LABEL_RESAMPLES), new Float64Array(LABEL_RESAMPLES)];
  let r = 0;
  for (const rows of draws(of.truth.length, seed)) {
    const counts = tally.of(rows);
    recalls[r] = macroRecall(counts);
    scores[r++] = macroF1(counts);
  }
  return { macro_recall: estimate(macroRecall(whole), recalls), macro_f1: estimate(macroF1(whole), scores) };
}

/** Deterministic for a seed. */
export function compareSeveral(of: LabelTruth, first: Said, second: Said, seed: number): PairedComparison {
  const matches = comparePaired(
    of.truth.map(() => 0),
    exactly(of, first),
    exactly(of, second),
    seed,
  );
  const [a, b] = [new Tally(of, first), new Tally(of, second)];
  const macros = new Float64Array(LABEL_RESAMPLES);
  let worse = 0;
  let r = 0;
  for (const rows of draws(of.truth.length, seed)) {
    const difference = macroF1(a.of(rows)) - macroF1(b.of(rows));
    worse += difference < 0 ? 1 : 0;
    macros[r++] = difference;
  }
  const rows = everyRow(of);
  const [one, other] = [a.of(rows), b.of(rows)];
  const { value: difference, interval } = estimate(macroF1(one) - macroF1(other), macros);
  return {
    ...matches,
    macro: { difference, interval, probabilityWorse: worse / LABEL_RESAMPLES },
    macroRecall: macroRecall(one) - macroRecall(other),
    macroF1: difference,
    classes: labelLosses(of, first, second),
  };
}

/** Of each label, on the rows that have it: rows that only the first, only the second says to have it. */
function labelLosses({ truth }: LabelTruth, first: Said, second: Said): PairedComparison['classes'] {
  const classes = new Map<number, { rows: number; wins: number; losses: number }>();
  for (const [i, own] of truth.entries())
    for (const label of own) {
      const of = classes.get(label) ?? { rows: 0, wins: 0, losses: 0 };
      const [a, b] = [first[i]!.includes(label), second[i]!.includes(label)];
      of.rows += 1;
      of.wins += a && !b ? 1 : 0;
      of.losses += b && !a ? 1 : 0;
      classes.set(label, of);
    }
  return classes;
}
