/** The head by gradients: its gradient, its slices, and what held-out examples have to say before it is heard. And what an instant solve may cost. */
import * as tfjs from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { BATCH, gradientOf, startLogistic, trainLogistic, type LogisticPlan } from '../../functions/learning/logistic.ts';
import { judgeLogistic, logisticComponent, refinedHead, scaledFeatures, scalingOf } from '../../functions/learning/refine.ts';
import { drawRows, rowsWithinBudget, solveCost, SOLVE_BUDGET } from '../../functions/learning/solve-budget.ts';
import { rawScores, scoreHead } from '../../functions/learning/score-head.ts';
import { solveHead, type LearnExample, type SolveInput } from '../../functions/learning/solve-head.ts';
import { loadTensorflow, type Tensorflow } from '../../functions/learning/tensorflow.ts';

function random(seed: number): () => number {
  let s = seed;
  return () => (s = (s * 1_664_525 + 1_013_904_223) % 4_294_967_296) / 4_294_967_296 - 0.5;
}
let tf: Tensorflow;
beforeAll(async () => {
  tf = await loadTensorflow();
});

const plan = (task: LogisticPlan['task'], more: Partial<LogisticPlan> = {}): LogisticPlan => ({
  seed: 3,
  steps: 60,
  task,
  labels: 3,
  dimension: 5,
  examples: 50,
  ...more,
});

describe.each(['single_label', 'multi_label'] as const)('gradients (%s)', (task) => {
  it('are those that TensorFlow.js finds by itself', async () => {
    await tfjs.setBackend('cpu');
    const next = random(4);
    const [n, p] = [7, plan(task)];
    const [x, values] = [Float32Array.from({ length: n * 5 }, next), Float32Array.from({ length: 18 }, next)];
    const y = new Float32Array(n * 3);
    for (let i = 0; i < n; i++) y[i * 3 + (i % 3)] = 1;
    if (task === 'multi_label') y.set([1, 1, 0], 0);
    const { loss, gradient } = gradientOf(tf, p, values, x, y);
    const objective = (weight: tfjs.Tensor, bias: tfjs.Tensor): tfjs.Scalar => {
      const scores = tfjs.add(tfjs.matMul(tfjs.tensor2d(x, [n, 5]), weight, false, true), bias);
      const wanted = tfjs.tensor2d(y, [n, 3]);
      const wrong = task === 'multi_label' ? tfjs.losses.sigmoidCrossEntropy(wanted, scores) : tfjs.losses.softmaxCrossEntropy(wanted, scores);
      return tfjs.add(wrong, tfjs.mul(tfjs.sum(tfjs.square(weight)), 5 / (2 * 100 * 50)));
    };
    const { value, grads } = tfjs.valueAndGrads(objective)([tfjs.tensor2d(values.subarray(0, 15), [3, 5]), tfjs.tensor1d(values.subarray(15))]);
    expect(loss).toBeCloseTo(value.dataSync()[0]!, 5);
    for (const [i, g] of [...grads[0]!.dataSync(), ...grads[1]!.dataSync()].entries()) expect(Math.abs(gradient[i]! - g)).toBeLessThan(1e-6);
  });

  it('give the same head in one slice and in many, and another with another seed', () => {
    const next = random(8);
    const rows = { x: Float32Array.from({ length: 40 * 5 }, next), labelsOf: Array.from({ length: 40 }, (_, i) => [i % 3]) };
    const whole = startLogistic(plan(task));
    const first = trainLogistic(tf, plan(task), whole, rows, 60);
    expect(trainLogistic(tf, plan(task), startLogistic(plan(task)), rows, 1)).toBeGreaterThan(first);
    const sliced = startLogistic(plan(task));
    for (const steps of [1, 19, 3, 30, 100]) trainLogistic(tf, plan(task), sliced, rows, steps);
    expect(sliced.step).toBe(60);
    expect(sliced.values).toEqual(whole.values);
    const other = startLogistic(plan(task));
    trainLogistic(tf, plan(task, { seed: 4 }), other, rows, 60);
    expect(other.values).not.toEqual(whole.values);
  });
});

/** Everything that a background refinement does, on rows of `make`. */
function refine(task: SolveInput['task'], k: number, d: number, make: (i: number) => { base: Float32Array; labelsOf: number[] }, n: number) {
  const rows: LearnExample[] = Array.from({ length: n }, (_, i) => ({ id: `ex_${String(i).padStart(5, '0')}`, tuned: null, ...make(i) }));
  const [learnt, held] = [rows.filter((_, i) => i % 5 !== 4), rows.filter((_, i) => i % 5 === 4)];
  const labels = Array.from({ length: k }, (_, c) => `l${c}`);
  const next = random(99);
  const background = { base: Array.from({ length: 60 }, () => Float32Array.from({ length: d }, next)), tuned: [] };
  const input: SolveInput = {
    labels,
    task,
    transform: 'l2',
    dimension: d,
    examples: learnt,
    names: labels.map(() => null),
    background,
    tunedMix: 0,
    trainedTemperature: null,
    falseRejectRate: 0.05,
  };
  const scaling = scalingOf(learnt, input, new Float32Array(d));
  const p = plan(task, { labels: k, dimension: d, examples: learnt.length, steps: Math.max(1_000, Math.ceil((20 * learnt.length) / BATCH)) });
  const x = scaledFeatures(
    learnt.map((r) => r.base),
    input,
    scaling,
  );
  const state = startLogistic(p);
  trainLogistic(tf, p, state, { x, labelsOf: learnt.map((r) => r.labelsOf) }, p.steps);
  const instant = solveHead(input)!.head;
  const logistic = logisticComponent(state.values, input, scaling);
  const verdict = judgeLogistic(instant, logistic, held)!;
  return { instant, logistic, verdict, held, head: refinedHead(instant, logistic, verdict, background.base) };
}

describe('a refinement', () => {
  const d = 12;
  it('is better where squared error masks the classes between others, and its head is the sum that was judged', () => {
    const next = random(21);
    const made = refine(
      'single_label',
      8,
      d,
      () => {
        const base = Float32Array.from({ length: d }, next);
        // Eight classes in a row along one direction (Hastie et al. 2009, 4.2: with squared error those in the middle never win).
        const place = base[0]! / Math.hypot(...base);
        return { base, labelsOf: [Math.min(7, Math.max(0, Math.floor(4 + 8 * place)))] };
      },
      1_500,
    );
    const { verdict, head, held, instant } = made;
    expect(verdict.better).toBe(true);
    expect(verdict.loss_shared).toBeLessThan(verdict.loss_instant);
    expect(verdict.gain).toBeGreaterThan(2 * verdict.standard_error);
    const { share, factor } = verdict;
    for (const { base } of held.slice(0, 20)) {
      const e = { base, tuned: null };
      const [a, b, both] = [instant, { ...instant, components: [made.logistic] }, head].map((h) => rawScores(h, e)) as [
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      for (let c = 0; c < 8; c++) expect(both[c]).toBeCloseTo((1 - share) * a[c]! + share * factor * b[c]!, 4);
    }
    // The threshold follows the scores: what was promised of known ones still holds.
    expect(held.filter((e) => scoreHead(head, { base: e.base, tuned: null }).unknown).length / held.length).toBeLessThan(0.1);
  });

  it('is not heard when labels say nothing', () => {
    const next = random(5);
    const { verdict } = refine(
      'single_label',
      2,
      d,
      (i) => ({ base: Float32Array.from({ length: d }, next), labelsOf: [Math.floor(i / 7) % 2] }),
      1_000,
    );
    expect(verdict.better).toBe(false);
  });

  it('reads rare labels of several better than squared error does', () => {
    const next = random(31);
    const { verdict, head } = refine(
      'multi_label',
      4,
      d,
      () => {
        const base = Float32Array.from({ length: d }, next);
        // Each label is a direction; the rarer, the farther out it begins.
        const labelsOf = [0, 1, 2, 3].filter((c) => base[c]! > 0.1 * (c + 1));
        return { base, labelsOf: labelsOf.length > 0 ? labelsOf : [0] };
      },
      1_500,
    );
    expect(verdict.better).toBe(true);
    expect(head.components.some((c) => c.name.includes('logistic'))).toBe(true);
  });

  it('promises of known inputs nothing by rows that have none of the labels', () => {
    const next = random(41);
    const { verdict, head, held } = refine(
      'multi_label',
      3,
      d,
      (i) => {
        const base = Float32Array.from({ length: d }, next);
        // Three in seven are like nothing that has a label.
        const labelsOf = i % 7 < 3 ? [] : [i % 3];
        for (const c of labelsOf) base[c]! += 2;
        return { base, labelsOf };
      },
      1_500,
    );
    const labelled = held.filter((e) => e.labelsOf.length > 0);
    expect(labelled.length).toBeLessThan(held.length);
    expect(verdict.known).toHaveLength(labelled.length);
    const unknown = (rows: readonly LearnExample[]): number =>
      rows.filter((e) => scoreHead(head, { base: e.base, tuned: null }).unknown).length / rows.length;
    expect(unknown(labelled)).toBeLessThan(0.12);
    expect(unknown(held.filter((e) => e.labelsOf.length === 0))).toBeGreaterThan(0.5);
  });

  it('says nothing about a handful of rows', () => {
    const next = random(6);
    const { instant, logistic, held } = refine(
      'single_label',
      2,
      d,
      (i) => ({ base: Float32Array.from({ length: d }, next), labelsOf: [i % 2] }),
      500,
    );
    expect(judgeLogistic(instant, logistic, held.slice(0, 79))).toBeNull();
    expect(judgeLogistic(instant, logistic, held.slice(0, 80))).not.toBeNull();
  });
});

describe('an instant solve', () => {
  const size = (examples: number, dimension: number, labels = 10) => ({ examples, dimension, labels, background: 500 });

  it('stays within its budget for ten thousand examples of every length, and reads all that it can pay for', () => {
    for (const d of [384, 1_280, 4_096])
      for (const k of [2, 10, 1_000]) {
        const n = rowsWithinBudget(size(10_000, d, k));
        expect(n).toBeGreaterThanOrEqual(512);
        if (n > 512) expect(solveCost(size(n, d, k))).toBeLessThanOrEqual(SOLVE_BUDGET);
      }
    expect(rowsWithinBudget(size(10_000, 384))).toBe(10_000);
    expect(rowsWithinBudget(size(1_000, 1_280))).toBe(1_000);
    expect(rowsWithinBudget(size(300, 4_096))).toBe(300);
  });

  it('draws classes in turn, the same rows in whatever order they came', () => {
    const rows = Array.from({ length: 500 }, (_, i) => ({
      id: `ex_${i}`,
      sha256: String((i * 7_919) % 1_000_003),
      labelsOf: [i % 50 === 0 ? 1 : 0],
    }));
    const drawn = drawRows(rows, 40);
    expect(drawn).toHaveLength(40);
    // Ten rows are of the rare class, and all of them are drawn.
    expect(drawn.filter((r) => r.labelsOf[0] === 1)).toHaveLength(10);
    expect(new Set(drawRows(rows.toReversed(), 40).map((r) => r.id))).toEqual(new Set(drawn.map((r) => r.id)));
    expect(drawRows(rows, 500)).toBe(rows);
  });
});
