/** Vectors that callers bring: columns of a table, values of a network, and what the first examples can say of their scales. */
import { describe, expect, test } from 'vitest';
import { fitStandardisation, standardised } from '../../functions/learning/own-scale.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';
import { solveHead, type LearnExample, type SolveInput } from '../../functions/learning/solve-head.ts';
import type { Head } from '../../shared/head.ts';
import { decodeHead, encodeHead } from '../../shared/head-file.ts';
import { seededRandom } from '../../shared/statistics.ts';

const CLASSES = 6;
type World = { readonly d: number; readonly draw: (c: number) => Float32Array };

/** Normal draws about class means, then stretched and moved value by value. */
function world(seed: number, d: number, apart: number, scaleOf: (random: () => number) => number, offsetOf: (random: () => number) => number): World {
  const random = seededRandom(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const means = Array.from({ length: CLASSES }, () => Float64Array.from({ length: d }, () => apart * normal()));
  const [scales, offsets] = [scaleOf, offsetOf].map((of) => Float64Array.from({ length: d }, () => of(random))) as [Float64Array, Float64Array];
  return { d, draw: (c) => Float32Array.from({ length: d }, (_, j) => (means[c]![j]! + normal()) * scales[j]! + offsets[j]!) };
}
/** Twelve columns from thousandths to thousands. */
const table = (): World =>
  world(
    3,
    12,
    1.6,
    (random) => 10 ** (6 * random() - 3),
    (random) => 100 * random(),
  );
/** Two hundred values of one scale in a narrow cone. */
const network = (): World =>
  world(
    4,
    200,
    0.3,
    () => 1,
    (random) => 40 * random(),
  );

const examplesOf = (w: World, shots: number): LearnExample[] =>
  Array.from({ length: CLASSES * shots }, (_, i) => ({ id: `ex_${i}`, labelsOf: [i % CLASSES], base: w.draw(i % CLASSES), tuned: null }));

const inputOf = (w: World, examples: readonly LearnExample[]): SolveInput => ({
  labels: Array.from({ length: CLASSES }, (_, c) => `class ${c}`),
  task: 'single_label',
  transform: 'l2',
  dimension: w.d,
  examples,
  names: Array.from({ length: CLASSES }, () => null),
  background: { base: [], tuned: [] },
  tunedMix: 0,
  trainedTemperature: null,
  falseRejectRate: 0.05,
});

function onOwnScale(input: SolveInput): Head {
  const by = fitStandardisation(input);
  return { ...solveHead(standardised(input, by))!.head, standardisation: by };
}

const heldOut = (w: World) => Array.from({ length: 180 }, (_, i) => ({ c: i % CLASSES, base: w.draw(i % CLASSES) }));

function accuracy(head: Head, rows: ReturnType<typeof heldOut>): number {
  const right = rows.filter(({ c, base }) => scoreHead(head, { base, tuned: null }).scores[0]!.label === `class ${c}`);
  return right.length / rows.length;
}

/** How much more the largest scale is than the smallest. */
const ratio = (scale: Float32Array): number => Math.max(...scale) / Math.min(...scale);

describe('columns of a table', () => {
  test.each([
    [1, 0.75],
    [4, 0.9],
  ])('%i examples a class: each column counts', (shots, least) => {
    const w = table();
    const input = inputOf(w, examplesOf(w, shots));
    const rows = heldOut(w);
    const bare = accuracy(solveHead(input)!.head, rows);
    const own = accuracy(onOwnScale(input), rows);
    expect(own).toBeGreaterThan(least);
    expect(own).toBeGreaterThan(bare + 0.2);
    expect(ratio(fitStandardisation(input)!.scale)).toBeGreaterThan(100);
  });

  test('a row far from everything is unknown, however large its columns are', () => {
    const w = table();
    const examples = examplesOf(w, 8);
    const head = onOwnScale(inputOf(w, examples));
    const { mean, scale } = head.standardisation!;
    const far = Float32Array.from(mean, (v, j) => v + (j % 2 === 0 ? 3 : -3) / scale[j]!);
    expect(scoreHead(head, { base: far, tuned: null }).unknown).toBe(true);
    expect(scoreHead(head, { base: w.draw(0), tuned: null }).label).toBe('class 0');
  });
});

describe("a network's values", () => {
  test('keep one scale, and lose nothing by it', () => {
    const w = network();
    const input = inputOf(w, examplesOf(w, 4));
    expect(ratio(fitStandardisation(input)!.scale)).toBeLessThan(1.5);
    const rows = heldOut(w);
    expect(accuracy(onOwnScale(input), rows)).toBeGreaterThan(accuracy(solveHead(input)!.head, rows) - 0.05);
  });

  test('variances of few rows differ by chance, and are not followed', () => {
    const w = network();
    expect(ratio(fitStandardisation(inputOf(w, examplesOf(w, 1)))!.scale)).toBeLessThan(1.2);
  });
});

test('neither order nor what was forgotten is remembered', () => {
  const w = table();
  const examples = examplesOf(w, 3);
  const never = onOwnScale(inputOf(w, examples.slice(0, -1)));
  const forgot = onOwnScale(inputOf(w, examples.toReversed().slice(1)));
  for (const row of Array.from({ length: 20 }, () => w.draw(2)))
    for (const { label, score } of scoreHead(never, { base: row, tuned: null }).scores)
      expect(scoreHead(forgot, { base: row, tuned: null }).scores.find((s) => s.label === label)!.score).toBeCloseTo(score, 5);
});

test('of several labels, rows that have none are measured and judged like all others', () => {
  const w = table();
  const examples = examplesOf(w, 5).map((e, i) => (i % 5 === 0 ? { ...e, labelsOf: [] } : e));
  const input: SolveInput = { ...inputOf(w, examples), task: 'multi_label' };
  const by = fitStandardisation(input)!;
  for (const v of [...by.mean, ...by.scale, by.constant]) expect(v).toSatisfy(Number.isFinite);
  const { evidence } = solveHead(standardised(input, by))!;
  expect(evidence.left_out_rows).toBe(examples.length);
});

test('a value as far off as a float can be is answered, and what is no number is refused', () => {
  const w = table();
  const tiny = examplesOf(w, 4).map((e) => ({ ...e, base: e.base.map((v) => v * 1e-6) }));
  const head = onOwnScale(inputOf(w, tiny));
  const asked = (value: number) => scoreHead(head, { base: tiny[0]!.base.map((v, i) => (i === 3 ? value : v)), tuned: null });
  for (const value of [3e38, -3e38]) {
    const answer = asked(value);
    expect(answer.unknown).toBe(true);
    expect(answer.scores.reduce((sum, s) => sum + s.score, 0)).toBeCloseTo(1, 6);
  }
  expect(() => asked(Infinity)).toThrow(RangeError);
  expect(() => asked(Number.NaN)).toThrow(RangeError);
});

describe('nothing to measure', () => {
  const w = table();
  const [one] = examplesOf(w, 1) as [LearnExample];

  test('one example, or the same one again, is read as it comes', () => {
    expect(fitStandardisation(inputOf(w, [one]))).toBeNull();
    expect(fitStandardisation(inputOf(w, [one, { ...one, id: 'again', labelsOf: [1] }]))).toBeNull();
    expect(solveHead(standardised(inputOf(w, [one]), null))!.head.standardisation).toBeNull();
  });

  test('columns that never change stay finite', () => {
    const still = examplesOf(w, 3).map((e) => ({ ...e, base: Float32Array.of(...e.base, 7, 0, 1e9) }));
    const head = onOwnScale(inputOf({ ...w, d: w.d + 3 }, still));
    const seen = scoreHead(head, { base: still[0]!.base, tuned: null });
    expect(seen.label).toBe('class 0');
    expect(seen.scores.every((s) => Number.isFinite(s.score))).toBe(true);
  });
});

test('it travels with the head, and a vector of another length is named', () => {
  const w = table();
  const head = onOwnScale(inputOf(w, examplesOf(w, 2)));
  expect(decodeHead(encodeHead(head)).standardisation).toEqual(head.standardisation);
  expect(() => scoreHead(head, { base: new Float32Array(5), tuned: null })).toThrow('the embedding has 5 values, expected 12');
});
