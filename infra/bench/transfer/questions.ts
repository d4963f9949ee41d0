/** The benchmark's questions, answered from its cells: which method, does adapting pay, was the gate right, was the advice good. */
import type { Judged, Truth } from './judge.ts';
import { ADAPTING, METHOD_NAMES, type MethodName } from './options.ts';

export type Measured = Judged & { readonly seconds: number; readonly mix: number };
/** One episode: a pair of domains, a size, a seed, and all methods that it was asked for. */
export type Cell = {
  readonly pair: string;
  readonly kind: string;
  readonly size: number;
  readonly seed: number;
  readonly rows: { readonly train: number; readonly unlabelled: number; readonly gate: number; readonly test: number };
  readonly methods: Readonly<Partial<Record<MethodName, Measured>>>;
  /** The edge's own answers: the head as enrolled, and after `/adapt` (a refusal counts as the head as it was). */
  readonly edge: { readonly enrolled: number; readonly adapted: number | null };
  readonly auto: MethodName | null;
  readonly advice: { readonly method: MethodName | null; readonly verdict: string };
};

type Row = { readonly name: string; readonly values: readonly number[] };
export type Regret = { readonly chooser: string; readonly regrets: readonly number[]; readonly unmeasured: number };
export type GateTable = Readonly<Record<'promoted' | 'refused', Readonly<Record<Truth, number>>>>;

/** Accuracy of everything that was measured in these cells, the edge first. */
export function accuracies(cells: readonly Cell[]): Row[] {
  const rows: Row[] = [
    { name: 'edge, enrolled', values: cells.map((c) => c.edge.enrolled) },
    { name: 'edge, /adapt', values: cells.flatMap((c) => c.edge.adapted ?? []) },
    { name: 'source_only', values: cells.flatMap((c) => sourceOnly(c) ?? []) },
    ...METHOD_NAMES.map((name) => ({ name, values: cells.flatMap((c) => c.methods[name]?.candidate ?? []) })),
  ];
  return rows.filter((row) => row.values.length > 0);
}

/** The same method without its adaptation, from whichever adaptation measured it; null without one. */
export function sourceOnly(cell: Cell): number | null {
  return ADAPTING.map((name) => cell.methods[name]?.sourceOnly).find((value) => value !== undefined && value !== null) ?? null;
}

/** Points over source-only, paired by cell. */
export function gains(cells: readonly Cell[], method: MethodName): number[] {
  return cells.flatMap((cell) => {
    const [ours, plain] = [cell.methods[method]?.candidate, sourceOnly(cell)];
    return ours === undefined || plain === null ? [] : [ours - plain];
  });
}

/** Points of a method over what is served before any job, on the untouched rows. */
export const overServed = (cells: readonly Cell[], method: MethodName): Measured[] => cells.flatMap((cell) => cell.methods[method] ?? []);

export function gateTable(cells: readonly Cell[]): GateTable {
  const none = (): Record<Truth, number> => ({ better: 0, undecided: 0, worse: 0 });
  const table = { promoted: none(), refused: none() };
  for (const judged of cells.flatMap((cell) => Object.values(cell.methods))) table[judged.decision][judged.truth] += 1;
  return table;
}

/** Of the candidates whose truth lies beyond noise, how many the gate decided accordingly: promoted what is better, refused what is worse. */
export function gateRight({ promoted, refused }: GateTable): { right: number; decided: number } {
  const right = promoted.better + refused.worse;
  return { right, decided: right + promoted.worse + refused.better };
}

/** Points that a choice is behind the method that turned out best in its episode. A choice that was not run cannot be judged. */
export function regretOf(cells: readonly Cell[], chooser: string, choose: (cell: Cell) => MethodName | null): Regret {
  const regrets: number[] = [];
  let unmeasured = 0;
  for (const cell of cells) {
    const all = Object.values(cell.methods);
    const name = choose(cell);
    const chosen = name === null ? undefined : cell.methods[name];
    if (chosen) regrets.push(Math.max(...all.map((m) => m.candidate)) - chosen.candidate);
    else unmeasured += 1;
  }
  return { chooser, regrets, unmeasured };
}

/** `auto`, the advice, and what always taking one method would have cost. */
export function allRegrets(cells: readonly Cell[]): Regret[] {
  const fixed = METHOD_NAMES.filter((name) => cells.every((cell) => cell.methods[name]));
  return [
    regretOf(cells, 'auto', (cell) => cell.auto),
    regretOf(cells, 'advice', (cell) => cell.advice.method),
    ...fixed.map((name) => regretOf(cells, `always ${name}`, () => name)),
  ];
}
