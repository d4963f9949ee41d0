/** The answers to the benchmark's questions as tables: each figure a mean over episodes with its interval. */
import { figure, often, signed, table } from './intervals.ts';
import { ADAPTING, METHOD_NAMES } from './options.ts';
import { accuracies, allRegrets, gains, gateRight, gateTable, overServed, sourceOnly, type Cell } from './questions.ts';

type Group = { readonly name: string; readonly cells: readonly Cell[] };

function groupsOf(cells: readonly Cell[]): Group[] {
  const groups = Map.groupBy(cells, (c) => `${c.kind}, ${c.size} a class`);
  return [...groups].map(([name, some]) => ({ name: `${name} (${some.length})`, cells: some }));
}

function howOftenRight(cells: readonly Cell[]): string {
  const groups = groupsOf(cells).map(({ name, cells: some }) => ({ name, rows: accuracies(some) }));
  const names = ['edge, enrolled', 'edge, /adapt', 'source_only', ...METHOD_NAMES];
  const known = names.filter((name) => groups.some(({ rows }) => rows.some((row) => row.name === name)));
  return table([
    ['1. How often right, in % (episodes)', ...groups.map((g) => g.name)],
    ...known.map((name) => [name, ...groups.map(({ rows }) => figure(rows.find((row) => row.name === name)?.values ?? []))]),
  ]);
}

function doesAdaptingPay(cells: readonly Cell[]): string {
  const shifted = cells.filter((cell) => sourceOnly(cell) !== null);
  const line = (name: string, some: readonly Cell[]): string[] => [
    name,
    figure(some.flatMap((c) => sourceOnly(c) ?? [])),
    ...ADAPTING.map((m) => signed(gains(some, m))),
    signed(some.flatMap((c) => (c.edge.adapted === null ? [] : [c.edge.adapted - c.edge.enrolled]))),
  ];
  const worse = (values: readonly number[]): string => often(values.filter((v) => v < 0).length, values.length);
  return table([
    ['2. Does adapting pay', 'source-only', ...ADAPTING.map((m) => `${m} gains`), 'edge /adapt gains'],
    ...[...Map.groupBy(shifted, (c) => c.pair)].map(([pair, some]) => line(pair, some)),
    ...[...Map.groupBy(shifted, (c) => c.kind)].map(([kind, some]) => line(`all ${kind}`, some)),
    ['worse than without', '', ...ADAPTING.map((m) => worse(gains(shifted, m)))],
  ]);
}

function wasTheGateRight(cells: readonly Cell[]): string {
  const gate = gateTable(cells);
  const { right, decided } = gateRight(gate);
  const lines = (['promoted', 'refused'] as const).map((d) => [d, ...(['better', 'undecided', 'worse'] as const).map((t) => String(gate[d][t]))]);
  return table([
    ['3. Was the gate right', 'truly better', 'within noise', 'truly worse'],
    ...lines,
    ['right where the truth is beyond noise', often(right, decided), '', ''],
  ]);
}

function behindTheBest(cells: readonly Cell[]): string {
  return table([
    ['4. Behind the best of the run', 'points', 'largest', 'not run'],
    ...allRegrets(cells).map((r) => [
      r.chooser,
      figure(r.regrets),
      r.regrets.length > 0 ? Math.max(...r.regrets).toFixed(1) : '–',
      String(r.unmeasured),
    ]),
  ]);
}

function againstTheServed(cells: readonly Cell[]): string {
  const rows = METHOD_NAMES.map((name) => ({ name, all: overServed(cells, name) })).filter(({ all }) => all.length > 0);
  return table([
    ['5. Against the head enrolled at the edge', 'points', 'worse', 'worse beyond noise', 'seconds'],
    ...rows.map(({ name, all }) => [
      name,
      signed(all.map((m) => m.gain)),
      often(all.filter((m) => m.gain < 0).length, all.length),
      often(all.filter((m) => m.truth === 'worse').length, all.length),
      figure(all.map((m) => m.seconds)),
    ]),
  ]);
}

/** @param planned how many episodes were asked for; a run may be cut by its time */
export function printAll(cells: readonly Cell[], planned: number): string {
  if (cells.length === 0) return '\nNo episode was finished.\n';
  const said = cells.length < planned ? `${cells.length} of ${planned} episodes were reached` : `${cells.length} episodes`;
  const note = `${said}; accuracy on rows that neither training nor gate saw; means with 95 % intervals over episodes (Student), shares with Wilson's.`;
  const parts = [howOftenRight, doesAdaptingPay, wasTheGateRight, behindTheBest, againstTheServed].map((print) => print(cells));
  return `\n${note}\n\n${parts.join('\n\n')}\n`;
}
