/**
 * A head's whole answer beside TensorFlow.js: one embedding of 1,472 values, the same weights, in turn. Both run in Node on one thread, as in the
 * isolate. Kept examples are random directions, written as the solver writes so many (functions/learning/basis.ts). The answer has what `predict` has not:
 * the features of the embedding, the nearest of the kept examples, known or unknown, classes in order.
 */
import * as tf from '@tensorflow/tfjs';
import { KERNEL_POWER, type Head, type Support } from '../../shared/head.ts';
import { normaliseInPlace } from '../../functions/learning/features.ts';
import { placeHead } from '../../functions/learning/resident-head.ts';
import { rawScores, scoreHead } from '../../functions/learning/score-head.ts';
import { keepRows } from '../../functions/learning/support.ts';
import { seededRandom } from '../../shared/statistics.ts';
import { inTurn, type Spread } from './measure.ts';
import { makeRowMemory } from './row-memory.ts';

const DIMENSION = 1_472;
/** Classes, and how many examples the head keeps to compare with (SUPPORT_ROWS_MAX at most). */
const CASES = [
  { classes: 2, kept: 20 },
  { classes: 10, kept: 0 },
  { classes: 10, kept: 100 },
  { classes: 10, kept: 512 },
  { classes: 100, kept: 512 },
  { classes: 1_000, kept: 512 },
] as const;
/** Scores that a caller asks for who does not want all. */
const TOP = 5;
/** How many answers one timing holds: the clock of a single small one would be noise. */
const perTiming = (classes: number): number => Math.max(20, Math.ceil(2_000 / classes));

export type Scoring = {
  readonly classes: number;
  readonly kept: number;
  /** Features, products, softmax, nearest example, known or unknown, order and label of every class: what a prediction does after the embedding. */
  readonly answer: Spread;
  /** The same with the first TOP classes. */
  readonly top: Spread;
  /** The whole answer with all rows in the heap and the plain loop, as without wasm. */
  readonly plain: Spread;
  /** `model.predict` of one dense layer with softmax, and its result read. */
  readonly tfjs: Spread;
  readonly ratio_answer_p50: number;
};

const wave = (i: number): number => Math.sin(i * 12.9898) * 0.05;

function supportOf(kept: number, classes: number, dimension: number): Support | null {
  if (kept === 0) return null;
  const next = seededRandom(3);
  const given = new Float32Array(kept * dimension);
  for (let r = 0; r < kept; r++) {
    const row = Float64Array.from({ length: dimension }, () => next() - 0.5);
    normaliseInPlace(row);
    given.set(row, r * dimension);
  }
  const { basis, rows, factor, order } = keepRows(given, kept, dimension, Math.min(classes, kept));
  const labelOf = Int32Array.from(order, (i) => i % classes);
  return { embedding: 'base', transform: 'l2', dimension, center: new Float32Array(dimension), basis, rows, labelOf, factor };
}

/** A head as large as one of so many classes and kept examples; its values are waves. */
export function headOf(classes: number, kept: number, dimension = DIMENSION): Head {
  // As they are solved: over the kept examples while these are all there are, linear beyond.
  const kernel = kept > 0 && classes <= kept ? ({ power: KERNEL_POWER } as const) : null;
  const weight = Float32Array.from({ length: classes * (kernel ? kept : dimension) }, (_, i) => wave(i + 1));
  const [center, bias] = [new Float32Array(dimension), new Float32Array(classes)];
  const component = { embedding: 'base', name: 'ridge', transform: 'l2', dimension, kernel, center, weight, bias, mix: 1 } as const;
  const labels = Array.from({ length: classes }, (_, c) => `label ${c}`);
  const openSet = { threshold: 0, falseRejectRate: 0.05, bestWeight: 1, varianceWeight: kept > 0 ? 1 : 0 };
  return {
    labels,
    task: 'single_label',
    components: [component],
    temperature: 1,
    openSet,
    support: supportOf(kept, classes, dimension),
    standardisation: null,
  };
}

/** A layers model of as many classes. */
function modelOf({ labels }: Head): tf.LayersModel {
  const model = tf.sequential({ layers: [tf.layers.dense({ inputShape: [DIMENSION], units: labels.length, activation: 'softmax' })] });
  tf.tidy(() => {
    const kernel = tf
      .tensor2d(
        Float32Array.from({ length: labels.length * DIMENSION }, (_, i) => wave(i + 1)),
        [labels.length, DIMENSION],
      )
      .transpose();
    model.setWeights([kernel, tf.zeros([labels.length])]);
  });
  return model;
}

const each = (spread: Spread, by: number): Spread => ({ n: spread.n, p50: spread.p50 / by, p95: spread.p95 / by, min: spread.min / by });

export async function measureScoring(repeats: number): Promise<Scoring[]> {
  await tf.setBackend('cpu');
  const memory = makeRowMemory(16 * 1024 * 1024);
  const raw = Float32Array.from({ length: DIMENSION }, (_, i) => Math.abs(wave(3 * i)));
  const norm = Math.sqrt(raw.reduce((sum, v) => sum + v * v, 0));
  const unit = raw.map((v) => v / norm);
  const e = { base: raw, tuned: null };
  const results: Scoring[] = [];
  for (const { classes, kept } of CASES) {
    const head = headOf(classes, kept);
    const resident = placeHead(head, memory);
    if (!resident) throw new Error('the memory holds one head of each size');
    const model = modelOf(head);
    const predict = (): ArrayLike<number> => tf.tidy(() => (model.predict(tf.tensor2d(unit, [1, DIMENSION])) as tf.Tensor).dataSync());
    if (!head.components[0]!.kernel) agree(head, scoreHead(resident.head, e).scores, predict());
    const exact = rawScores(head, e);
    if (rawScores(resident.head, e).some((s, c) => Math.abs(s - exact[c]!) > 1e-4)) throw new Error('the kernel differs from the loop');
    const times = perTiming(classes);
    const many = (work: () => unknown) => async (): Promise<void> => {
      for (let i = 0; i < times; i++) work();
    };
    const arms = {
      answer: many(() => scoreHead(resident.head, e)),
      top: many(() => scoreHead(resident.head, e, TOP)),
      plain: many(() => scoreHead(head, e)),
      tfjs: many(predict),
    };
    const measured = await inTurn(arms, { repeats, warmups: 5 });
    const [answer, top, plain, peer] = (['answer', 'top', 'plain', 'tfjs'] as const).map((arm) => each(measured[arm], times)) as [
      Spread,
      Spread,
      Spread,
      Spread,
    ];
    results.push({ classes, kept, answer, top, plain, tfjs: peer, ratio_answer_p50: peer.p50 / answer.p50 });
    model.dispose();
    resident.release();
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
