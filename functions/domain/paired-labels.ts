/**
 * Compares two classifiers of several labels on the same held-out rows: by exact matches as `comparePaired` does, by each label on the rows that have it,
 * and by the mean F1 score of the labels. Rows are drawn with replacement, for both alike (Efron and Tibshirani 1993), because a row's labels go together.
 */
import { percentileInterval, seededRandom } from '../../shared/statistics.ts';
import { comparePaired, macroOf, type PairedComparison } from './paired-bootstrap.ts';

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

/** Of each label, one after the other: rows that have it, that are said to, and both. */
const HAS = 0;
const SAID = 1;
const BOTH = 2;
const KINDS = 3;

/** What each row adds to the counts, as places in one array: rows are drawn again a thousand times. */
class Tally {
  readonly #places: Int32Array;
  /** Where the places of each row begin, and where the last one's end. */
  readonly #from: Int32Array;
  readonly #labels: number;
  constructor({ truth, labels }: LabelTruth, said: Said) {
    const rows = truth.map((own, i) => {
      // A label that this one does not know is wrong in an exact match, and counts for no label here.
      const mine = said[i]!.filter((label) => label >= 0);
      const both = mine.filter((label) => own.includes(label));
      return [...place(own, HAS), ...place(mine, SAID), ...place(both, BOTH)];
    });
    this.#labels = labels;
    this.#places = Int32Array.from(rows.flat());
    this.#from = new Int32Array(rows.length + 1);
    for (const [i, own] of rows.entries()) this.#from[i + 1] = this.#from[i]! + own.length;
  }

  of(rows: ArrayLike<number>): Float64Array {
    const counts = new Float64Array(KINDS * this.#labels);
    for (let r = 0; r < rows.length; r++) {
      const end = this.#from[rows[r]! + 1]!;
      for (let at = this.#from[rows[r]!]!; at < end; at++) counts[this.#places[at]!]! += 1;
    }
    return counts;
  }
}

const place = (labels: readonly number[], kind: number): number[] => labels.map((label) => KINDS * label + kind);

/** Mean over labels that some row has. */
function meanOver(counts: Float64Array, of: (has: number, said: number, both: number) => number): number {
  let sum = 0;
  let seen = 0;
  for (let at = 0; at < counts.length; at += KINDS) {
    if (counts[at + HAS] === 0) continue;
    sum += of(counts[at + HAS]!, counts[at + SAID]!, counts[at + BOTH]!);
    seen += 1;
  }
  return seen === 0 ? 0 : sum / seen;
}

/** Mean of 2 · both / (has + said) and of both / has over labels that some row has. */
const macroF1 = (counts: Float64Array): number => meanOver(counts, (has, said, both) => (2 * both) / (has + said));
const macroRecall = (counts: Float64Array): number => meanOver(counts, (has, _, both) => both / has);

function* draws(rows: number, seed: number): Generator<Uint32Array> {
  const random = seededRandom(seed);
  const drawn = new Uint32Array(rows);
  for (let r = 0; r < LABEL_RESAMPLES; r++) {
    for (let i = 0; i < rows; i++) drawn[i] = Math.floor(random() * rows);
    yield drawn;
  }
}

const everyRow = ({ truth }: LabelTruth): number[] => [...truth.keys()];
const estimate = (value: number, drawn: Float64Array) => ({ value, interval: percentileInterval(drawn) });

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
  const [recalls, scores] = [new Float64Array(LABEL_RESAMPLES), new Float64Array(LABEL_RESAMPLES)];
  let r = 0;
  for (const rows of draws(of.truth.length, seed)) {
    const [one, other] = [a.of(rows), b.of(rows)];
    recalls[r] = macroRecall(one) - macroRecall(other);
    scores[r++] = macroF1(one) - macroF1(other);
  }
  const rows = everyRow(of);
  const [one, other] = [a.of(rows), b.of(rows)];
  return {
    ...matches,
    macroRecall: macroOf(macroRecall(one) - macroRecall(other), recalls),
    macroF1: macroOf(macroF1(one) - macroF1(other), scores),
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
