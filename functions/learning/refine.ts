/**
 * Whether a head by gradients (logistic.ts) deserves a share beside the instant one, told by examples that neither has seen. Both learn from four fifths;
 * of the held-out fifth one half chooses the share w and both temperatures, and the other half judges:
 *   s = (1 − w)·s_instant + w·(t_instant/t_logistic)·s_logistic,   better ⇔ mean of the losses' differences > 2 standard errors of it.
 * The shared head is the instant one of all examples and the logistic one as it was judged.
 */
import type { Head, HeadComponent } from '../../shared/head.ts';
import { fitTemperature, softmax } from './calibration.ts';
import { transformFeature } from './features.ts';
import { fitSigmoidTemperature, sigmoidOf } from './multi-label.ts';
import { fitOpenSet } from './open-set.ts';
import { knownness, rawScores } from './score-head.ts';
import type { LearnExample, SolveInput } from './solve-head.ts';

const SHARES = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1] as const;
/** Standard errors that the judging half has to see. */
const SURE = 2;
/** Fewer rows on either side say nothing. */
export const HELD_MIN = 40;

/** s: features are (φ(x) − center)·s. */
export type Scaling = { readonly center: Float32Array; readonly scale: number };
export type RefineEvidence = {
  readonly better: boolean;
  /** Of the logistic head. */
  readonly share: number;
  readonly held_out_rows: number;
  /** Cross-entropy a row (of several labels: a decision) on the judging half. */
  readonly loss_instant: number;
  readonly loss_shared: number;
  readonly gain: number;
  readonly standard_error: number;
};
export type Verdict = RefineEvidence & { readonly factor: number; readonly temperature: number; readonly known: readonly number[] };

/** √d / spread of the centred features: a coordinate then has about unit variance. */
export function scalingOf(examples: readonly LearnExample[], input: Pick<SolveInput, 'transform' | 'dimension'>, center: Float32Array): Scaling {
  const mean = new Float64Array(input.dimension);
  let squares = 0;
  for (const { base } of examples) {
    const x = transformFeature(base, input.transform, center);
    for (let i = 0; i < x.length; i++) {
      mean[i]! += x[i]! / examples.length;
      squares += x[i]! ** 2 / examples.length;
    }
  }
  for (const m of mean) squares -= m * m;
  return { center, scale: squares > 1e-9 ? Math.sqrt(input.dimension / squares) : 1 };
}

/** Features as the logistic head learns from them, row-major. */
export function scaledFeatures(
  rows: readonly Float32Array[],
  input: Pick<SolveInput, 'transform' | 'dimension'>,
  { center, scale }: Scaling,
): Float32Array {
  const d = input.dimension;
  const out = new Float32Array(rows.length * d);
  for (const [r, raw] of rows.entries()) {
    const x = transformFeature(raw, input.transform, center);
    for (let i = 0; i < d; i++) out[r * d + i] = x[i]! * scale;
  }
  return out;
}

/** The weights over unscaled features as a component; of several labels p = σ(2·score), so a score is half the log-odds. */
export function logisticComponent(
  values: Float32Array,
  input: Pick<SolveInput, 'transform' | 'dimension' | 'task' | 'labels'>,
  scaling: Scaling,
): HeadComponent {
  const [d, k] = [input.dimension, input.labels.length];
  const by = input.task === 'multi_label' ? 0.5 : 1;
  return {
    embedding: 'base',
    name: 'logistic',
    transform: input.transform,
    dimension: d,
    kernel: null,
    center: scaling.center,
    weight: values.slice(0, k * d).map((v) => v * by * scaling.scale),
    bias: values.slice(k * d).map((v) => v * by),
    mix: 1,
  };
}

type Half = { readonly rows: readonly LearnExample[]; readonly instant: Float64Array; readonly logistic: Float64Array };

/** @param instant the head solved without `held`; `logistic` trained without them */
export function judgeLogistic(instant: Head, logistic: HeadComponent, held: readonly LearnExample[]): Verdict | null {
  if (held.length < 2 * HELD_MIN) return null;
  const k = instant.labels.length;
  const halfOf = (parity: number): Half => {
    const rows = held.filter((_, i) => i % 2 === parity);
    return { rows, instant: scoresOf(instant, rows), logistic: scoresOf({ ...instant, components: [logistic] }, rows) };
  };
  const [choosing, judging] = [halfOf(0), halfOf(1)];
  const fit = (scores: Float64Array, rows: readonly LearnExample[]): number =>
    instant.task === 'multi_label'
      ? fitSigmoidTemperature(
          scores,
          rows.map((r) => r.labelsOf),
          k,
        )
      : fitTemperature(
          scores,
          rows.map((r) => r.labelsOf[0]!),
          k,
        ).temperature;
  const factor = fit(choosing.instant, choosing.rows) / fit(choosing.logistic, choosing.rows);
  const shared = (half: Half, w: number): Float64Array => half.instant.map((s, i) => (1 - w) * s + w * factor * half.logistic[i]!);
  const tried = SHARES.map((share) => {
    const scores = shared(choosing, share);
    const temperature = fit(scores, choosing.rows);
    const losses = lossesOf(instant.task, scores, choosing.rows, k, temperature);
    return { share, temperature, loss: losses.reduce((a, b) => a + b, 0) };
  });
  const best = tried.reduce((a, b) => (b.loss < a.loss ? b : a));
  const before = lossesOf(instant.task, judging.instant, judging.rows, k, tried[0]!.temperature);
  const after = lossesOf(instant.task, shared(judging, best.share), judging.rows, k, best.temperature);
  const n = judging.rows.length;
  const gains = before.map((v, i) => v - after[i]!);
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / n;
  const gain = mean(gains);
  const error = Math.sqrt(gains.reduce((sum, g) => sum + (g - gain) ** 2, 0) / (n - 1) / n);
  const head = shareHead(instant, logistic, best.share, factor);
  const rule = instant.openSet;
  const labelled = held.filter((e) => e.labelsOf.length > 0);
  return {
    better: best.share > 0 && gain > SURE * error,
    share: best.share,
    held_out_rows: held.length,
    loss_instant: mean(before),
    loss_shared: mean(after),
    gain,
    standard_error: error,
    factor,
    temperature: best.temperature,
    known: rule ? labelled.map((e) => knownness(head, rule, { base: e.base, tuned: null })) : [],
  };
}

function scoresOf(head: Head, rows: readonly LearnExample[]): Float64Array {
  const k = head.labels.length;
  const out = new Float64Array(rows.length * k);
  for (const [i, { base }] of rows.entries()) out.set(rawScores(head, { base, tuned: null }), i * k);
  return out;
}

function lossesOf(task: Head['task'], scores: Float64Array, rows: readonly LearnExample[], k: number, temperature: number): number[] {
  return rows.map(({ labelsOf }, i) => {
    const own = scores.subarray(i * k, (i + 1) * k);
    if (task === 'single_label') return -Math.log(Math.max(softmax(own, temperature)[labelsOf[0]!]!, 1e-12));
    let sum = 0;
    for (let c = 0; c < k; c++) {
      const p = sigmoidOf(own[c]!, temperature);
      sum -= Math.log(Math.max(labelsOf.includes(c) ? p : 1 - p, 1e-12));
    }
    return sum / k;
  });
}

/** Linear parts over the same features are one matrix, so a prediction costs nothing more; beside a kernel head it stands as a part of its own. */
function shareHead(head: Head, logistic: HeadComponent, share: number, factor: number): Head {
  const own = share * factor;
  let folded = false;
  const components = head.components.map((c) => {
    const mix = c.mix * (1 - share);
    if (folded || c.kernel || c.embedding !== 'base' || c.transform !== logistic.transform || !c.center.every((v, i) => v === logistic.center[i]))
      return { ...c, mix };
    folded = true;
    const sum = (a: Float32Array, b: Float32Array): Float32Array => a.map((v, i) => mix * v + own * b[i]!);
    return { ...c, name: `${c.name}+logistic`, weight: sum(c.weight, logistic.weight), bias: sum(c.bias, logistic.bias), mix: 1 };
  });
  return { ...head, components: folded ? components : [...components, { ...logistic, mix: own }] };
}

/** @param instant the head of all examples */
export function refinedHead(instant: Head, logistic: HeadComponent, verdict: Verdict, background: readonly Float32Array[]): Head {
  const head = { ...shareHead(instant, logistic, verdict.share, verdict.factor), temperature: verdict.temperature };
  const rule = instant.openSet;
  if (!rule) return head;
  const strangers = background.map((base) => knownness(head, rule, { base, tuned: null }));
  return { ...head, openSet: fitOpenSet(verdict.known, strangers, rule.falseRejectRate, rule.varianceWeight) };
}
