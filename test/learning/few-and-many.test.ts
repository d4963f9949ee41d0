/** Heads at both ends: a handful of rows must not make the answers sure, and 10,000 rows of 1,000 classes must not run out of time or memory. */
import { describe, expect, test } from 'vitest';
import { fitSigmoids } from '../../functions/learning/multi-label.ts';
import { CAUTIOUS_BELIEF, fitTemperature, logLoss, priorTemperature, softmax } from '../../functions/learning/calibration.ts';
import { levelsOfNames, shareOfNames } from '../../functions/learning/label-names.ts';
import { fitRidge } from '../../functions/learning/ridge.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';
import { solveHead, type LearnExample, type SolveInput } from '../../functions/learning/solve-head.ts';

function random(seed: number): () => number {
  let s = seed;
  return () => (s = (s * 1_664_525 + 1_013_904_223) % 4_294_967_296) / 4_294_967_296 - 0.5;
}
const plain = (labels: readonly string[], dimension: number, examples: readonly LearnExample[]): SolveInput => ({
  labels,
  dimension,
  examples,
  task: 'single_label',
  transform: 'l2',
  names: labels.map(() => null),
  background: { base: [], tuned: [] },
  tunedMix: 0,
  trainedTemperature: null,
  falseRejectRate: 0.05,
});

describe('few rows', () => {
  test('that are all right leave the temperature near its prior; many bring it down', () => {
    const rows = (n: number) => Float64Array.from({ length: 2 * n }, (_, i) => ((i % 2 === 0) === (Math.floor(i / 2) % 2 === 0) ? 0.4 : -0.4));
    const at = (n: number) =>
      fitTemperature(
        rows(n),
        Array.from({ length: n }, (_, i) => i % 2),
        2,
        CAUTIOUS_BELIEF,
      ).temperature;
    expect(at(6) / priorTemperature(2, CAUTIOUS_BELIEF)).toBeGreaterThan(0.9);
    expect(at(600)).toBeLessThan(at(6) / 2);
  });

  test('never make an answer surer than (n + 1)/(n + 2) of rows that are exactly on their targets, beyond what the prior believes', () => {
    const scores = Float64Array.from([1, -1, -1, 1, 1, -1, -1, 1]);
    const { temperature } = fitTemperature(scores, [0, 1, 0, 1], 2);
    expect(softmax([1, -1], temperature)[0]!).toBeLessThan(softmax([1, -1], priorTemperature(2))[0]!);
  });

  test('are believed the same with two classes and with a thousand before there is evidence', () => {
    for (const k of [2, 12, 1000]) {
      const ideal = Float64Array.from({ length: k }, (_, c) => (c === 0 ? 1 : -1));
      expect(softmax(ideal, priorTemperature(k))[0]!).toBeCloseTo(0.9999, 9);
      expect(softmax(ideal, priorTemperature(k, CAUTIOUS_BELIEF))[0]!).toBeCloseTo(CAUTIOUS_BELIEF, 9);
    }
  });

  test('soft targets are the cross-entropy against the softened row', () => {
    const scores = Float64Array.from([0.3, -0.2, 0.9]);
    const p = softmax(scores, 0.5);
    const q = [0.1, 0.8, 0.1];
    expect(logLoss(scores, [1], 3, 0.5, 0.2)).toBeCloseTo(-q.reduce((sum, v, c) => sum + v * Math.log(p[c]!), 0), 12);
  });
});

describe('names', () => {
  // Ridge that says nothing beside names that are right, and beside the same names each at the wrong label.
  const truth = Array.from({ length: 12 }, (_, i) => i % 3);
  const cosines = (turn: number) => Float64Array.from({ length: 36 }, (_, at) => ((truth[Math.floor(at / 3)]! + turn) % 3 === at % 3 ? 0.4 : 0));
  const share = (names: Float64Array, judged: readonly number[]) =>
    shareOfNames({
      ridge: new Float64Array(judged.length * 3),
      names: names.subarray(0, judged.length * 3),
      loss: (scores) => fitTemperature(scores, judged, 3, CAUTIOUS_BELIEF).loss,
      shown: new Set(judged).size,
      labels: 3,
      all: { names, truth },
    });

  test('that are right are heard, and ones that mislead are not, with and without left-out rows', () => {
    expect(share(cosines(0), truth)).toBeGreaterThan(0.35);
    expect(share(cosines(0), [])).toBeGreaterThan(0.45);
    expect(share(cosines(1), truth)).toBeLessThan(0.01);
    expect(share(cosines(1), [])).toBeLessThan(0.01);
  });

  test('that say yes to everything are no rivals of one another, but they are wrong where rows have none of several labels', () => {
    const own = truth.map((c) => [c]);
    const labelsOf = [...own, ...own.map(() => [])];
    // Each name says most of its own label and a little of everything; ridge is right about all rows.
    const says = (rows: readonly (readonly number[])[]) =>
      Float64Array.from(rows.flatMap((of) => [0, 1, 2].map((c) => (of.includes(c) ? 0.6 : 0.3))));
    const right = (rows: readonly (readonly number[])[]) =>
      Float64Array.from(rows.flatMap((of) => [0, 1, 2].map((c) => (of.includes(c) ? 0.5 : -0.5))));
    const shared = { labels: 3, shown: 3, all: { names: says(own), truth } };
    const one = shareOfNames({
      ...shared,
      ridge: right(own),
      names: says(own),
      loss: (scores) => fitTemperature(scores, truth, 3, CAUTIOUS_BELIEF).loss,
    });
    const several = shareOfNames({
      ...shared,
      ridge: right(labelsOf),
      names: says(labelsOf),
      loss: (scores) => fitSigmoids(scores, labelsOf, 3).loss,
    });
    expect(one).toBeGreaterThan(0.15);
    expect(several).toBeLessThan(0.1);
  });

  test('of which one is nearer to everything that is asked do not answer with it', () => {
    const labels = ['loud', 'second', 'third', 'fourth'];
    // An axis for each label, one that all inputs share and the first name with them, and three that tell nothing.
    const near = (c: number, way: number): Float32Array => {
      const x = new Float32Array(8);
      [x[c], x[4], x[5 + (way % 3)]] = [0.4, 1, way < 3 ? 0.5 : -0.5];
      return x;
    };
    const names = labels.map((_, c) => Float32Array.from({ length: 8 }, (_v, axis) => Number(axis === c || (c === 0 && axis === 4))));
    const examples = labels.map((_, c) => ({ id: `ex_${c}`, labelsOf: [c], base: near(c, c), tuned: null }));
    const { head } = solveHead({ ...plain(labels, 8, examples), names })!;
    const uncentred = head.components.map((part) => (part.name === 'label_names' ? { ...part, bias: new Float32Array(4) } : part));
    const right = (components: typeof head.components): number =>
      labels
        .flatMap((label, c) => [0, 1, 2, 3, 4, 5].map((way) => ({ label, x: near(c, way) })))
        .filter(({ label, x }) => scoreHead({ ...head, components }, { base: x, tuned: null }).scores[0]!.label === label).length;
    expect(right(head.components)).toBe(24);
    expect(right(uncentred)).toBeLessThan(12);
    expect(right(head.components.filter((part) => part.name !== 'label_names'))).toBeLessThan(24);
  });

  test('are centred by classes, however many examples each has', () => {
    const scores = Float64Array.from([0.6, 0.2, 0.4, 0.2, 0.1, 0.5]);
    const levels = levelsOfNames(scores, [0, 0, 1], 2);
    expect(levels[0]).toBeCloseTo((0.5 + 0.1) / 2, 12);
    expect(levels[1]).toBeCloseTo((0.2 + 0.5) / 2, 12);
  });
});

test.each([
  ['dual', 20, 30],
  ['primal', 60, 8],
])('left-out scores of some rows are those rows of all (%s)', (_, n, d) => {
  const next = random(n);
  const input = { x: Float64Array.from({ length: n * d }, next), n, d, labels: 3, labelsOf: Array.from({ length: n }, (_row, i) => [i % 3]) };
  const all = fitRidge(input, 0.1).leftOut;
  const some = fitRidge({ ...input, judged: [7, 2, 19] }, 0.1).leftOut;
  for (const [to, from] of [7, 2, 19].entries()) for (let c = 0; c < 3; c++) expect(some[to * 3 + c]).toBe(all[from * 3 + c]);
});

test('10,000 examples of 1,000 classes are solved in bounded time and memory, and answered right', { timeout: 120_000 }, () => {
  const [n, k, d] = [10_000, 1_000, 64];
  const next = random(1);
  const middle = Array.from({ length: k }, () => Float32Array.from({ length: d }, next));
  const near = (c: number) => middle[c]!.map((v) => v + 0.6 * next());
  const examples = Array.from({ length: n }, (_, i) => ({
    id: `ex_${String(i).padStart(6, '0')}`,
    labelsOf: [i % k],
    base: near(i % k),
    tuned: null,
  }));
  const began = process.cpuUsage().user;
  const { head, leftOut, evidence } = solveHead(
    plain(
      middle.map((_, c) => `class ${c}`),
      d,
      examples,
    ),
  )!;
  // Two seconds where nothing else runs; the quadratic way took twelve.
  expect((process.cpuUsage().user - began) / 1e6).toBeLessThan(10);
  expect(leftOut.scores.length).toBeLessThanOrEqual(1 << 20);
  expect(leftOut.ids).toContain('ex_009999');
  expect(new Set(leftOut.truth).size).toBe(k);
  expect(evidence.left_out_accuracy).toBeGreaterThan(0.95);
  expect(head.support!.labelOf.length).toBe(512);
  const asked = Array.from({ length: 300 }, (_, i) => scoreHead(head, { base: near(i), tuned: null }));
  expect(asked.filter((a, i) => a.scores[0]!.label === `class ${i}`).length).toBeGreaterThan(285);
  // Only half of the classes have a row in the support: the rule was set with the same rows that it is applied with.
  expect(asked.filter((a) => a.unknown).length).toBeLessThan(45);
});

test('a label of a few examples beside thousands of another is answered', () => {
  const [many, few, d] = [2_100, 4, 48];
  const next = random(17);
  const normal = () => Array.from({ length: 12 }, next).reduce((sum, v) => sum + v, 0);
  const middle = [0, 1].map(() => Float32Array.from({ length: d }, () => 1 + 0.5 * normal()));
  const near = (c: number) => middle[c]!.map((v) => v + normal());
  const examples = Array.from({ length: many + few }, (_, i): LearnExample => {
    const c = i < few ? 1 : 0;
    return { id: `ex_${String(i).padStart(5, '0')}`, labelsOf: [c], base: near(c), tuned: null };
  });
  const { head } = solveHead(plain(['common', 'rare'], d, examples))!;
  const right = (c: number) =>
    Array.from({ length: 60 }, () => scoreHead(head, { base: near(c), tuned: null })).filter((a) => a.scores[0]!.label === head.labels[c]).length;
  expect(right(1)).toBeGreaterThan(50);
  expect(right(0)).toBeGreaterThan(50);
});

test.each([2, 3, 10, 40])('one example of a label beside %i of another is as good as beside one, and neither label is preferred', (many) => {
  const d = 256;
  let [right, rare, even] = [0, 0, 0];
  const [worlds, asked] = [12, 20];
  for (let world = 0; world < worlds; world++) {
    const next = random(1_000 * many + world);
    const middle = [0, 1].map(() => Float32Array.from({ length: d }, () => 1 + 0.6 * next()));
    const near = (c: number) => middle[c]!.map((v) => v + 1.6 * next());
    const example = (c: number, i: number): LearnExample => ({ id: `ex_${c}_${i}`, labelsOf: [c], base: near(c), tuned: null });
    const common = Array.from({ length: many }, (_, i) => example(0, i));
    const one = example(1, 0);
    const heads = [
      [...common, one],
      [common[0]!, one],
    ].map((rows) => solveHead(plain(['common', 'rare'], d, rows))!.head);
    for (let i = 0; i < asked; i++)
      for (const c of [0, 1]) {
        const base = near(c);
        const [said, beside] = heads.map((head) => scoreHead(head, { base, tuned: null }).scores[0]!.label);
        right += Number(said === heads[0]!.labels[c]);
        even += Number(beside === heads[0]!.labels[c]);
        rare += Number(said === 'rare');
      }
  }
  const all = 2 * worlds * asked;
  expect(right / all).toBeGreaterThan(even / all - 0.02);
  expect(Math.abs(rare / all - 0.5)).toBeLessThan(0.15);
});
