/** What the transfer benchmark concludes: no row is both learnt from and judged by, and its tables say what its cells hold. */
import { expect, test } from 'vitest';
import { HeldOut } from '../../shared/engine.ts';
import type { EmbeddedSet } from '../../infra/bench/accuracy/embeddings.ts';
import { drawEpisode } from '../../infra/bench/transfer/episode.ts';
import { printHeads } from '../../infra/bench/transfer/heads.ts';
import { pickRows, truthOf } from '../../infra/bench/transfer/judge.ts';
import { methodOf, pairOf, parseOptions } from '../../infra/bench/transfer/options.ts';
import {
  accuracies,
  allRegrets,
  gains,
  gateRight,
  gateTable,
  regretOf,
  sourceOnly,
  type Cell,
  type Measured,
} from '../../infra/bench/transfer/questions.ts';
import { figure, often, studentHalf, studentPoint } from '../../infra/bench/transfer/intervals.ts';
import { printAll } from '../../infra/bench/transfer/tables.ts';

function drawings(name: string, perClass: number): EmbeddedSet {
  const labels = ['a', 'b', 'c'];
  const y = labels.flatMap((_, c) => Array.from({ length: perClass }, () => c));
  const ids = y.map((c, i) => `${c}-${i % perClass}`);
  return { name, modality: 'image', labels, names: labels, ids, y, rows: y.map(() => new Float32Array(2)), nameRows: null };
}

test('an episode keeps what is learnt from, what the gate sees and what is true apart, and no thing comes back in another style', () => {
  const [source, target] = [drawings('one', 60), drawings('other', 60)];
  const episode = drawEpisode(source, target, 8, 3);
  expect(episode).toEqual(drawEpisode(source, target, 8, 3));
  expect(episode.train.rows).not.toEqual(drawEpisode(source, target, 8, 4).train.rows);
  expect(episode.train.rows).toHaveLength(24);
  const far = [...episode.unlabelled, ...episode.gate.rows, ...episode.test.rows];
  expect(new Set(far).size).toBe(far.length);
  expect(far).toHaveLength(3 * 52);
  const things = new Set(episode.train.rows.map((row) => source.ids[row]));
  expect(far.filter((row) => things.has(target.ids[row]))).toEqual([]);
  for (const { rows, y } of [episode.gate, episode.test])
    for (const [i, row] of rows.entries()) expect(episode.labels[y[i]!]).toBe(target.labels[target.y[row]!]);
  expect(episode.test.rows.length).toBeGreaterThan(episode.gate.rows.length);
});

test('one domain alone has nothing without labels; classes that are too small are left out', () => {
  const episode = drawEpisode(drawings('one', 30), null, 8, 1);
  expect(episode.unlabelled).toEqual([]);
  expect(episode.gate.rows.length + episode.test.rows.length).toBe(3 * 22);
  expect(() => drawEpisode(drawings('one', 30), null, 24, 1)).toThrow('36 rows');
});

test('options', () => {
  const asked = parseOptions(['--pairs', 'emoji,mails', '--sizes', '4,16', '--seeds', '2', '--methods', 'coral,lp_ft']);
  expect(asked.pairs).toHaveLength(13);
  expect(asked.pairs.at(-1)).toEqual({ name: 'mails', source: 'mails', target: null });
  expect([asked.sizes, asked.seeds, asked.methods, asked.epochs]).toEqual([[4, 16], [1, 2], ['coral', 'lp_ft'], null]);
  expect(parseOptions(['--seeds', '5,9']).seeds).toEqual([5, 9]);
  expect(parseOptions(['--quick'])).toMatchObject({ minutes: 9, seeds: [1, 2, 3], sizes: [8] });
  expect(parseOptions(['--quick', '--minutes', '4']).minutes).toBe(4);
  expect(asked.minutes).toBeNull();
  expect(parseOptions(['--quick']).methods).not.toContain('from_scratch');
  expect(() => parseOptions(['--methods', 'luck'])).toThrow('luck');
  expect(() => parseOptions(['--sizes', 'many'])).toThrow();
  const [shifted, alone] = [pairOf('apple>google'), pairOf('digits')];
  expect(methodOf('coral', 'image', alone, null)).toBeNull();
  expect(methodOf('adabn', 'text', shifted, null)).toBeNull();
  expect(methodOf('lp_ft', 'image', shifted, null)).toMatchObject({ probe_epochs: 5 });
  expect(methodOf('lp_ft', 'text', shifted, 3)).toMatchObject({ epochs: 3, probe_epochs: 1 });
  expect(methodOf('lp_ft', 'image', shifted, 1)).toMatchObject({ epochs: 1, probe_epochs: 0 });
  expect(methodOf('linear_probe', 'image', shifted, 3)).toEqual({ type: 'linear_probe' });
});

const answers = (prediction: number[]) => ({ prediction, confidence: prediction.map(() => 0.5) });

/** `right`: rows of 40 on which the candidate is right; the incumbent is right on the first 20. */
function heldOut(right: number): HeldOut {
  const truth = Array.from({ length: 40 }, () => 1);
  const upTo = (n: number) => answers(truth.map((_, i) => (i < n ? 1 : 0)));
  return HeldOut.parse({
    split: 'test',
    labels: ['a', 'b'],
    rows: truth.map((_, i) => 100 + i),
    truth,
    candidate: upTo(right),
    incumbent: upTo(20),
    frozen: upTo(10),
    baseline: upTo(0),
    source_only: upTo(5),
  });
}

test('some rows of the answers are the answers of some rows', () => {
  const some = pickRows(heldOut(30), [0, 25, 39]);
  expect(some.rows).toEqual([100, 125, 139]);
  expect(some.candidate.prediction).toEqual([1, 1, 0]);
  expect(some.incumbent!.prediction).toEqual([1, 0, 0]);
  expect(some.source_only!.prediction).toEqual([1, 0, 0]);
  expect(some.scratch).toBeNull();
});

test('the truth is what lies beyond noise on the untouched rows', () => {
  expect(truthOf(heldOut(38), 1)).toEqual({ truth: 'better', gain: 45 });
  expect(truthOf(heldOut(6), 1)).toEqual({ truth: 'worse', gain: -35 });
  expect(truthOf(heldOut(21), 1).truth).toBe('undecided');
  expect(() => truthOf({ ...heldOut(21), incumbent: null }, 1)).toThrow('served');
});

const measured = (candidate: number, more: Partial<Measured> = {}): Measured => ({
  decision: 'refused',
  reasons: [],
  truth: 'undecided',
  gain: 0,
  candidate,
  incumbent: 50,
  frozen: 50,
  sourceOnly: null,
  seconds: 1,
  mix: 1,
  ...more,
});
const cell = (more: Partial<Cell>): Cell => ({
  pair: 'one>other',
  kind: 'pairs',
  size: 8,
  seed: 1,
  rows: { train: 24, unlabelled: 64, gate: 40, test: 60 },
  methods: {},
  edge: { enrolled: 50, adapted: 55 },
  auto: null,
  advice: { method: null, verdict: 'now' },
  ...more,
});
const CELLS = [
  cell({
    methods: {
      linear_probe: measured(50, { decision: 'promoted', truth: 'worse' }),
      coral: measured(60, { decision: 'promoted', truth: 'better', sourceOnly: 54 }),
    },
    auto: 'linear_probe',
    advice: { method: 'coral', verdict: 'now' },
  }),
  cell({
    seed: 2,
    methods: { linear_probe: measured(52), coral: measured(49, { sourceOnly: 53, truth: 'worse' }) },
    auto: 'linear_probe',
    advice: { method: 'fine_tune', verdict: 'now' },
  }),
];

test('gains are paired with the same method without adaptation', () => {
  expect(CELLS.map(sourceOnly)).toEqual([54, 53]);
  expect(gains(CELLS, 'coral')).toEqual([6, -4]);
  expect(gains(CELLS, 'dann')).toEqual([]);
  expect(accuracies(CELLS).map((row) => row.name)).toEqual(['edge, enrolled', 'edge, /adapt', 'source_only', 'linear_probe', 'coral']);
});

test('the gate is right when it promotes what is better and refuses what is worse', () => {
  expect(gateTable(CELLS)).toEqual({ promoted: { better: 1, undecided: 0, worse: 1 }, refused: { better: 0, undecided: 1, worse: 1 } });
  expect(gateRight(gateTable(CELLS))).toEqual({ right: 2, decided: 3 });
});

test('a choice is behind the best method of its episode, and one that was not run is not judged', () => {
  expect(regretOf(CELLS, 'auto', (c) => c.auto)).toEqual({ chooser: 'auto', regrets: [10, 0], unmeasured: 0 });
  expect(regretOf(CELLS, 'advice', (c) => c.advice.method)).toEqual({ chooser: 'advice', regrets: [0], unmeasured: 1 });
  expect(allRegrets(CELLS).map((r) => r.chooser)).toEqual(['auto', 'advice', 'always linear_probe', 'always coral']);
});

test('intervals are as wide as few episodes make them', () => {
  // Quantiles of Student's t for .975.
  for (const [degrees, point] of [
    [1, 12.706],
    [10, 2.228],
    [11, 2.201],
    [30, 2.042],
    [120, 1.98],
  ] as const)
    expect(studentPoint(degrees)).toBeCloseTo(point, 2);
  expect(studentHalf([1, 2, 3])).toBeCloseTo(4.303 / Math.sqrt(3), 2);
  expect([figure([]), figure([4]), figure([1, 2, 3])]).toEqual(['–', '4.0 (one)', '2.0 ± 2.5']);
  expect([often(0, 0), often(1, 10)]).toEqual(['–', '1 of 10 (2–40 %)']);
});

test('heads are compared draw by draw', () => {
  const draw = (pair: string, seed: number, frozen: number, aligned: number) => ({ pair, size: 8, seed, ridge: 40, frozen, aligned });
  const text = printHeads([draw('one>other', 1, 50, 60), draw('one>other', 2, 52, 50), draw('other>one', 1, 70, 76)]);
  expect(text).toMatch(/one>other, 8 +2 +40\.0 ± 0\.0 +51\.0 ± 12\.7 +55\.0 ± 63\.5 +\+4\.0 ± 76\.2 +1/);
  expect(text).toMatch(/all, 8 a class +3 .* 1\n/);
});

test('one table a question', () => {
  const text = printAll(CELLS, 2);
  expect(text).toContain('\n2 episodes;');
  expect(printAll(CELLS, 5)).toContain('2 of 5 episodes were reached;');
  for (const part of ['1. How often right', '2. Does adapting pay', '3. Was the gate right', '4. Behind the best', '5. Against the head'])
    expect(text).toContain(part);
  expect(text).toMatch(/pairs, 8 a class \(2\)/);
  expect(text).toMatch(/source_only +53\.5 ± 6\.4/);
  expect(text).toMatch(/one>other +53\.5 ± 6\.4 +\+1\.0 ± 63\.5/);
  expect(text).toMatch(/worse than without +1 of 2/);
  expect(text).toMatch(/right where the truth is beyond noise +2 of 3/);
  expect(text).toMatch(/coral +0\.0 ± 0\.0 +0 of 2 \(0–66 %\) +1 of 2/);
  expect(printAll([], 4)).toContain('No episode');
});
