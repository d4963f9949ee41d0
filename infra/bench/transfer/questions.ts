/** The benchmark's questions, answered from its cells: which method, does adapting pay, was the gate right, was the advice good. */
import { halfInterval, mean } from '../accuracy/measures.ts';
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

export function gateTable(cells: readonly Cell[]): GateTable {
  const none = (): Record<Truth, number> => ({ better: 0, undecided: 0, worse: 0 });
  const table = { promoted: none(), refused: none() };
  for (const judged of cells.flatMap((cell) => Object.values(cell.methods))) table[judged.decision][judged.truth] += 1;
  return table;
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

export const figure = (values: readonly number[]): string =>
  values.length === 0 ? '–' : values.length === 1 ? values[0]!.toFixed(1) : `${mean(values).toFixed(1)} ± ${halfInterval(values).toFixed(1)}`;
export const signed = (values: readonly number[]): string => (values.length > 0 && mean(values) > 0 ? `+${figure(values)}` : figure(values));

export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => (row[c] ?? '').length)));
  return rows.map((row) => row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join('  ')).join('\n');
}

export function printAll(cells: readonly Cell[]): string {
  const kinds = [...new Set(cells.map((c) => c.kind))];
  const groups = kinds.flatMap((kind) =>
    [...new Set(cells.filter((c) => c.kind === kind).map((c) => c.size))].map((size) => ({
      name: `${kind}, ${size} a class`,
      cells: cells.filter((c) => c.kind === kind && c.size === size),
    })),
  );
  const names = [...new Set(groups.flatMap((g) => accuracies(g.cells).map((row) => row.name)))];
  const first = table([
    ['1. How often right, in %', ...groups.map((g) => g.name)],
    ...names.map((name) => [name, ...groups.map((g) => figure(accuracies(g.cells).find((row) => row.name === name)?.values ?? []))]),
  ]);
  const shifted = cells.filter((cell) => sourceOnly(cell) !== null);
  const pairs = [...new Set(shifted.map((c) => c.pair))];
  const line = (name: string, some: readonly Cell[]): string[] => [
    name,
    figure(some.flatMap((c) => sourceOnly(c) ?? [])),
    ...ADAPTING.map((m) => signed(gains(some, m))),
    signed(some.flatMap((c) => (c.edge.adapted === null ? [] : [c.edge.adapted - c.edge.enrolled]))),
  ];
  const second = table([
    ['2. Does adapting pay', 'source-only', ...ADAPTING.map((m) => `${m} gains`), 'edge /adapt gains'],
    ...pairs.map((pair) =>
      line(
        pair,
        shifted.filter((c) => c.pair === pair),
      ),
    ),
    ...kinds
      .map((kind) => ({ kind, some: shifted.filter((c) => c.kind === kind) }))
      .filter(({ some }) => some.length > 0)
      .map(({ kind, some }) => line(`all ${kind}`, some)),
    ['worse than source-only', '', ...ADAPTING.map((m) => `${gains(shifted, m).filter((v) => v < 0).length} of ${gains(shifted, m).length}`)],
  ]);
  const gate = gateTable(cells);
  const third = table([
    ['3. Was the gate right', 'truly better', 'within noise', 'truly worse'],
    ...(['promoted', 'refused'] as const).map((d) => [d, ...(['better', 'undecided', 'worse'] as const).map((t) => String(gate[d][t]))]),
  ]);
  const fourth = table([
    ['4. Behind the best of the run', 'points', 'largest', 'not run'],
    ...allRegrets(cells).map((r) => [
      r.chooser,
      figure(r.regrets),
      r.regrets.length > 0 ? Math.max(...r.regrets).toFixed(1) : '–',
      String(r.unmeasured),
    ]),
  ]);
  const note = `${cells.length} episodes; accuracy on rows that neither training nor gate saw; means with 95 % intervals over episodes.`;
  return `\n${note}\n\n${[first, second, third, fourth].join('\n\n')}\n`;
}
