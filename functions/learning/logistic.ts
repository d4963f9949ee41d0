/**
 * A head by gradients: logistic regression, multinomial where an input has one label and one against the rest where it has several,
 *   min over W, b:  mean cross-entropy + d/(2Cn)·‖W‖²   on features of unit variance a coordinate,
 * with Adam (Kingma & Ba 2015) on batches that a seed draws, the step falling with a half cosine. It goes on from where it stopped, so that a long
 * training is many short slices. Products are TensorFlow.js's; who calls this loads it (tensorflow.ts), because few isolates ever train.
 */
import { seededRandom, type Random } from '../../shared/statistics.ts';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Tensorflow } from './tensorflow.ts';

export const BATCH = 128;
/** Multiply–adds of one slice: two to three seconds of CPU. */
export const SLICE_COST = 1e9;
/** C: as large as the examples allow; evidence decides whether the head is heard at all. */
const SOFTNESS = 100;
/** Adam moves every weight by as much: this step moves a score of d terms of unit size by about a quarter. */
const RATE = 0.25;
const [BETA_1, BETA_2, TINY] = [0.9, 0.999, 1e-8];

export type LogisticPlan = {
  readonly seed: number;
  readonly steps: number;
  readonly task: 'single_label' | 'multi_label';
  readonly labels: number;
  readonly dimension: number;
  /** How many examples there are to learn from: the penalty weakens with them. */
  readonly examples: number;
};
/** Weights [labels × dimension] and biases [labels] in one array, with Adam's two moments of each. */
export type LogisticState = { step: number; readonly values: Float32Array; readonly first: Float32Array; readonly second: Float32Array };
/** Features [n × dimension] of unit variance a coordinate, and the labels of each row. */
export type LogisticRows = { readonly x: Float32Array; readonly labelsOf: readonly (readonly number[])[] };

const sizeOf = ({ labels, dimension }: LogisticPlan): number => labels * (dimension + 1);

/** Multiply–adds of a whole training: a minute of CPU. */
const TOTAL_COST = 25e9;
const EPOCHS = 20;
/** However few examples: Adam has to get there. */
const STEPS_MIN = 1_000;

/** How long to train. */
export function planLogistic(of: Omit<LogisticPlan, 'steps'>): LogisticPlan {
  const wanted = Math.max((EPOCHS * of.examples) / BATCH, STEPS_MIN);
  return { ...of, steps: Math.ceil(Math.min(wanted, TOTAL_COST / stepCost(of))) };
}

export function startLogistic(plan: LogisticPlan): LogisticState {
  const size = sizeOf(plan);
  return { step: 0, values: new Float32Array(size), first: new Float32Array(size), second: new Float32Array(size) };
}

/** Multiply–adds of one step: scores, and the gradients of weights and of scores. */
export const stepCost = ({ labels, dimension }: Pick<LogisticPlan, 'labels' | 'dimension'>): number => 3 * BATCH * labels * dimension;

/** Of seed and step: the batch of a step does not depend on how training was sliced. */
const drawer = (seed: number, step: number): Random => seededRandom(seed ^ Math.imul(step + 1, 0x9e3779b1));

/** Goes on by `steps` of the plan's steps over these rows; the state is changed in place. Answers the mean loss of the batches. */
export function trainLogistic(tf: Tensorflow, plan: LogisticPlan, state: LogisticState, rows: LogisticRows, steps: number): number {
  const { dimension: d, labels: k } = plan;
  const until = Math.min(plan.steps, state.step + steps);
  let total = 0;
  const began = state.step;
  for (; state.step < until; state.step++) {
    const next = drawer(plan.seed, state.step);
    const x = new Float32Array(BATCH * d);
    const y = new Float32Array(BATCH * k);
    for (let i = 0; i < BATCH; i++) {
      const row = Math.floor(next() * rows.labelsOf.length);
      x.set(rows.x.subarray(row * d, (row + 1) * d), i * d);
      for (const c of rows.labelsOf[row]!) y[i * k + c] = 1;
    }
    const { loss, gradient } = gradientOf(tf, plan, state.values, x, y);
    total += loss;
    adam(state, gradient, (RATE / d) * 0.5 * (1 + Math.cos((Math.PI * state.step) / plan.steps)));
  }
  return total / Math.max(1, state.step - began);
}

/** ∂W = (p − y)ᵀX / B + d/(Cn)·W,  ∂b = mean of p − y, with p the softmax or the sigmoids (of which the loss is the mean over labels). */
export function gradientOf(
  tf: Tensorflow,
  plan: LogisticPlan,
  values: Float32Array,
  x: Float32Array,
  y: Float32Array,
): { loss: number; gradient: Float32Array } {
  const { dimension: d, labels: k, examples: n } = plan;
  const rows = y.length / k;
  const several = plan.task === 'multi_label';
  const gradient = new Float32Array(values.length);
  const decay = d / (SOFTNESS * n);
  const loss = tf.tidy(() => {
    const [features, wanted] = [tf.tensor2d(x, [rows, d]), tf.tensor2d(y, [rows, k])];
    const weight = tf.tensor2d(values.subarray(0, k * d), [k, d]);
    const scores = tf.add<Tensor2D>(tf.matMul(features, weight, false, true), tf.tensor1d(values.subarray(k * d)));
    const p = several ? tf.sigmoid(scores) : tf.softmax(scores);
    const off = tf.div<Tensor2D>(tf.sub(p, wanted), several ? rows * k : rows);
    gradient.set(tf.matMul(off, features, true, false).dataSync(), 0);
    gradient.set(tf.sum(off, 0).dataSync(), k * d);
    return crossEntropy(p.dataSync(), y, several) / (several ? rows * k : rows);
  });
  let squares = 0;
  for (let i = 0; i < k * d; i++) {
    gradient[i]! += decay * values[i]!;
    squares += values[i]! ** 2;
  }
  return { loss: loss + (decay / 2) * squares, gradient };
}

function crossEntropy(p: ArrayLike<number>, y: Float32Array, several: boolean): number {
  let sum = 0;
  for (let i = 0; i < y.length; i++) {
    if (y[i] === 1) sum -= Math.log(Math.max(p[i]!, 1e-30));
    else if (several) sum -= Math.log(Math.max(1 - p[i]!, 1e-30));
  }
  return sum;
}

function adam({ step, values, first, second }: LogisticState, gradient: Float32Array, rate: number): void {
  const [c1, c2] = [1 - BETA_1 ** (step + 1), 1 - BETA_2 ** (step + 1)];
  for (let i = 0; i < values.length; i++) {
    const g = gradient[i]!;
    first[i] = BETA_1 * first[i]! + (1 - BETA_1) * g;
    second[i] = BETA_2 * second[i]! + (1 - BETA_2) * g * g;
    values[i]! -= (rate * (first[i]! / c1)) / (Math.sqrt(second[i]! / c2) + TINY);
  }
}
