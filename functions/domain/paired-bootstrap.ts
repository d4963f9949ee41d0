/**
 * Compares two classifiers on the same held-out rows. Rows are grouped by (class, first right?, second right?), and a bootstrap sample is a
 * multinomial draw of those groups: the same distribution as drawing rows with replacement, at a cost that does not grow with the rows.
 * Source: Efron and Tibshirani 1993 (paired bootstrap, percentile interval); Dietterich 1998 on why the pairing matters.
 */
import { drawMultinomial, percentileInterval, seededRandom, signTest } from '../../shared/statistics.ts';

export const RESAMPLES = 4_000;

export type Interval = { readonly low: number; readonly high: number };
/** Of a mean over classes: the first's minus the second's, its 95 % interval, and the share of resamples in which it is below zero. */
export type Macro = { readonly difference: number; readonly interval: Interval; readonly probabilityWorse: number };
/** `drawn`: the difference in each resample (sorted in place). */
export const macroOf = (difference: number, drawn: Float64Array): Macro => ({
  difference,
  interval: percentileInterval(drawn),
  probabilityWorse: drawn.filter((value) => value < 0).length / drawn.length,
});

/** What follows from which rows either is right on. */
export type PairedRows = {
  readonly rows: number;
  /** Accuracy of the first minus that of the second. */
  readonly difference: number;
  /** 95 %, by percentiles of the bootstrap. */
  readonly interval: Interval;
  /** Share of resamples in which the first is better; a tie counts half. */
  readonly probabilityBetter: number;
  /** Share of resamples in which the first is *strictly* better: what a promotion needs. */
  readonly probabilityStrictlyBetter: number;
  readonly wins: number;
  readonly losses: number;
  /** Exact one-sided sign test on the rows where the two disagree: few rows make a bootstrap too sure of itself, never this. */
  readonly pBetter: number;
  readonly pWorse: number;
  readonly macroRecall: Macro;
  /** Per class index: its rows, and those on which only the first, only the second is right. */
  readonly classes: ReadonlyMap<number, { readonly rows: number; readonly wins: number; readonly losses: number }>;
};

export type PairedComparison = PairedRows & { readonly macroF1: Macro };

type Cell = { readonly label: number; readonly first: 0 | 1; readonly second: 0 | 1; count: number };

/** Mean over classes of recall of the first minus recall of the second, for counts of cells. */
function macroDifference(cells: readonly Cell[], counts: readonly number[], slotOf: ReadonlyMap<number, number>): number {
  const rows = new Float64Array(slotOf.size);
  const gained = new Float64Array(slotOf.size);
  for (const [i, cell] of cells.entries()) {
    const slot = slotOf.get(cell.label)!;
    rows[slot]! += counts[i]!;
    gained[slot]! += counts[i]! * (cell.first - cell.second);
  }
  let sum = 0;
  let seen = 0;
  for (let slot = 0; slot < rows.length; slot++) {
    if (rows[slot] === 0) continue;
    sum += gained[slot]! / rows[slot]!;
    seen += 1;
  }
  return seen === 0 ? 0 : sum / seen;
}

/** `truth`, `first`, `second`: one entry a row; the latter two say whether that classifier was right. Deterministic for a seed. */
export function comparePaired(
  truth: readonly number[],
  first: readonly boolean[],
  second: readonly boolean[],
  seed: number,
  resamples = RESAMPLES,
): PairedRows {
  const groups = new Map<string, Cell>();
  const classes = new Map<number, { rows: number; wins: number; losses: number }>();
  for (const [i, label] of truth.entries()) {
    const a = first[i] ? 1 : 0;
    const b = second[i] ? 1 : 0;
    const key = `${label}/${a}${b}`;
    const cell = groups.get(key);
    if (cell) cell.count += 1;
    else groups.set(key, { label, first: a, second: b, count: 1 });
    const of = classes.get(label) ?? { rows: 0, wins: 0, losses: 0 };
    of.rows += 1;
    of.wins += a > b ? 1 : 0;
    of.losses += b > a ? 1 : 0;
    classes.set(label, of);
  }
  const cells = [...groups.values()];
  const slotOf = new Map([...classes.keys()].map((label, slot) => [label, slot]));
  const observed = cells.map((cell) => cell.count);
  const wins = [...classes.values()].reduce((sum, c) => sum + c.wins, 0);
  const losses = [...classes.values()].reduce((sum, c) => sum + c.losses, 0);
  const rows = truth.length;

  const random = seededRandom(seed);
  const differences = new Float64Array(resamples);
  const macros = new Float64Array(resamples);
  let strictly = 0;
  let ties = 0;
  for (let r = 0; r < resamples; r++) {
    const counts = drawMultinomial(observed, random);
    let gained = 0;
    for (const [i, cell] of cells.entries()) gained += counts[i]! * (cell.first - cell.second);
    differences[r] = rows === 0 ? 0 : gained / rows;
    macros[r] = macroDifference(cells, counts, slotOf);
    strictly += gained > 0 ? 1 : 0;
    ties += gained === 0 ? 1 : 0;
  }
  return {
    rows,
    difference: rows === 0 ? 0 : (wins - losses) / rows,
    interval: percentileInterval(differences),
    probabilityBetter: (strictly + ties / 2) / resamples,
    probabilityStrictlyBetter: strictly / resamples,
    wins,
    losses,
    pBetter: signTest(wins, losses),
    pWorse: signTest(losses, wins),
    macroRecall: macroOf(macroDifference(cells, observed, slotOf), macros),
    classes,
  };
}
