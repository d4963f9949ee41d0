/** A head's answer beside TensorFlow.js: one embedding of 1,280 values, the same weights, in turn. Both run in Node on one thread, as in the isolate. */
import * as tf from '@tensorflow/tfjs';
import type { Head } from '../../shared/head.ts';
import { rawScores, scoreHead } from '../../functions/learning/score-head.ts';
import { inTurn, type Spread } from './measure.ts';

const DIMENSION = 1_280;
const CLASSES = [10, 100, 1_000] as const;
/** How many answers one timing holds: the clock of a single small one would be noise. */
const perTiming = (classes: number): number => Math.ceil(2_000 / classes);

export type Scoring = {
  readonly classes: number;
  /** Features, products, softmax, order and label of every class: what a prediction does after the embedding. */
  readonly answer: Spread;
  /** Features and products alone. */
  readonly products: Spread;
  /** `model.predict` of one dense layer with softmax, and its result read. */
  readonly tfjs: Spread;
  readonly ratio_answer_p50: number;
  readonly ratio_products_p50: number;
};

const wave = (i: number): number => Math.sin(i * 12.9898) * 0.05;

function headOf(classes: number): Head {
  const weight = Float32Array.from({ length: classes * DIMENSION }, (_, i) => wave(i + 1));
  const [center, bias] = [new Float32Array(DIMENSION), new Float32Array(classes)];
  const component = { embedding: 'base', name: 'ridge', transform: 'l2', dimension: DIMENSION, center, weight, bias, mix: 1 } as const;
  const labels = Array.from({ length: classes }, (_, c) => `label ${c}`);
  return { labels, task: 'single_label', components: [component], temperature: 1, openSet: null, support: null };
}

/** The same network as a layers model; its kernel is the transpose. */
function modelOf({ components: [component], labels }: Head): tf.LayersModel {
  const model = tf.sequential({ layers: [tf.layers.dense({ inputShape: [DIMENSION], units: labels.length, activation: 'softmax' })] });
  tf.tidy(() => {
    const kernel = tf.tensor2d(component!.weight, [labels.length, DIMENSION]).transpose();
    model.setWeights([kernel, tf.zeros([labels.length])]);
  });
  return model;
}

const each = (spread: Spread, by: number): Spread => ({ n: spread.n, p50: spread.p50 / by, p95: spread.p95 / by, min: spread.min / by });

export async function measureScoring(repeats: number): Promise<Scoring[]> {
  await tf.setBackend('cpu');
  const raw = Float32Array.from({ length: DIMENSION }, (_, i) => Math.abs(wave(3 * i)));
  const norm = Math.sqrt(raw.reduce((sum, v) => sum + v * v, 0));
  const unit = raw.map((v) => v / norm);
  const e = { base: raw, tuned: null };
  const results: Scoring[] = [];
  for (const classes of CLASSES) {
    const head = headOf(classes);
    const model = modelOf(head);
    const predict = (): ArrayLike<number> => tf.tidy(() => (model.predict(tf.tensor2d(unit, [1, DIMENSION])) as tf.Tensor).dataSync());
    agree(head, scoreHead(head, e).scores, predict());
    const times = perTiming(classes);
    const many = (work: () => unknown) => async (): Promise<void> => {
      for (let i = 0; i < times; i++) work();
    };
    const arms = { answer: many(() => scoreHead(head, e)), products: many(() => rawScores(head.components, classes, e)), tfjs: many(predict) };
    const measured = await inTurn(arms, { repeats, warmups: 5 });
    const [answer, products, peer] = [each(measured.answer, times), each(measured.products, times), each(measured.tfjs, times)];
    results.push({
      classes,
      answer,
      products,
      tfjs: peer,
      ratio_answer_p50: peer.p50 / answer.p50,
      ratio_products_p50: peer.p50 / products.p50,
    });
    model.dispose();
  }
  return results;
}

/** A comparison of two things that do not compute the same would say nothing. */
function agree(head: Head, ours: readonly { label: string; score: number }[], theirs: ArrayLike<number>): void {
  const at = new Map(ours.map(({ label, score }) => [label, score]));
  for (const [i, label] of head.labels.entries())
    if (Math.abs((at.get(label) ?? Number.NaN) - theirs[i]!) > 1e-5)
      throw new Error(`TensorFlow.js gives ${theirs[i]} for ${label}, Graft ${at.get(label)}`);
}
