/** The gate's reasons in words, with the numbers that programs read beside them. */
import type { PairedRows } from './paired-bootstrap.ts';

const LIST_MAX = 5;

type MacroWords = {
  readonly of: 'macroRecall' | 'macroF1';
  readonly code: 'worse_macro_recall' | 'worse_macro_f1';
  readonly detail: (points: string, name: string) => string;
};
/** How results are spoken of. */
export type Words = {
  /** What rows are counted by: "3.4 points more …". */
  readonly more: string;
  readonly less: string;
  /** What is answered without looking, and who answers so. */
  readonly frequent: string;
  readonly baseline: string;
  /** Means over labels that may not fall. */
  readonly macros: readonly MacroWords[];
};

const f1 = (each: string): MacroWords => ({
  of: 'macroF1',
  code: 'worse_macro_f1',
  detail: (by, name) => `Averaged over ${each} the F1 score of the candidate is ${by} than that of ${name}.`,
});
export const ONE: Words = {
  more: 'more accurate',
  less: 'less accurate',
  frequent: 'the majority class',
  baseline: 'the majority baseline',
  macros: [
    { of: 'macroRecall', code: 'worse_macro_recall', detail: (by, name) => `Averaged over classes the candidate recalls ${by} than ${name}.` },
    f1('classes'),
  ],
};
export const SEVERAL: Words = {
  more: 'more exact matches',
  less: 'fewer exact matches',
  frequent: 'the most frequent set of labels',
  baseline: 'the most frequent set of labels',
  macros: [f1('labels')],
};

export function points(share: number): string {
  const size = Math.abs(share * 100).toFixed(1);
  return share >= 0 ? `${size} points more` : `${size} points less`;
}

export function list(names: readonly string[]): string {
  const shown = names.slice(0, LIST_MAX).map((name) => `"${name}"`);
  return names.length > LIST_MAX ? `${shown.join(', ')} and ${names.length - LIST_MAX} more` : shown.join(', ');
}

/** "3.4 points more accurate on 210 rows (95 % interval −1.0 to 7.8; 16 rows won, 9 lost; sign test p = 0.115)". */
export function sentence(p: PairedRows, { more, less }: Pick<Words, 'more' | 'less'>): string {
  const signed = (share: number) => `${share < 0 ? '−' : '+'}${Math.abs(share * 100).toFixed(1)}`;
  const size = `${Math.abs(p.difference * 100).toFixed(1)} points ${p.difference >= 0 ? more : less}`;
  const interval = `95 % interval ${signed(p.interval.low)} to ${signed(p.interval.high)}`;
  return `${size} on ${p.rows} rows (${interval}; ${p.wins} rows won, ${p.losses} lost; sign test p = ${p.pBetter.toPrecision(2)})`;
}

export function moreRows(more: number): string {
  if (more <= 0) return ' A second, equally large held-out set would probably decide it.';
  return ` If the difference is real, about ${more.toLocaleString('en')} more held-out rows would be needed to prove it.`;
}

export function factsOf(p: PairedRows): Record<string, unknown> {
  return {
    rows: p.rows,
    difference: p.difference,
    interval: p.interval,
    probability_better: p.probabilityBetter,
    wins: p.wins,
    losses: p.losses,
    p_value: p.pBetter,
  };
}
