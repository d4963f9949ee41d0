/**
 * The head over a classifier's examples as a target domain would have shown them. A pure function of the examples and the target inputs, so that an
 * adapted classifier goes on learning: another example, a relabelled or a forgotten one is solved in again against the same target inputs.
 *
 * Three ridge heads over target inputs less their mean are blended: on centred examples, on examples with the target's covariance (CORAL, see align.ts),
 * and one that has seen the target inputs too, under the labels that the first two give them (self-training, Yarowsky 1995; one round). Each is linear
 * in the same features, so the result is an ordinary head: one matrix, one centre, and a prediction costs what it did.
 */
import type { Head, HeadComponent, OpenSetRule } from '../../../shared/head.ts';
import { fitTemperature } from '../calibration.ts';
import { argmax, backgroundCenter, transformFeature } from '../features.ts';
import { labelPrior } from '../label-prior.ts';
import { fitOpenSet, quantile } from '../open-set.ts';
import { fitRidgeLeaveOneOut, type RidgeFit } from '../ridge.ts';
import { knownness, rawScores } from '../score-head.ts';
import { isLearnt, leftOutKnownness, solveHead, type Evidence, type LeftOut, type SolveInput } from '../solve-head.ts';
import { centred, coral, meanOf, type Rows } from './align.ts';
import { measureShift, type Shift } from './shift.ts';
import { probabilities } from './validators.ts';

export const ADAPT_METHODS = ['centre', 'coral', 'self_training'] as const;
export type AdaptMethod = (typeof ADAPT_METHODS)[number];
/** Weights of the methods, together 1. */
export type AdaptMix = Readonly<Record<AdaptMethod, number>>;
export type SolvedHead = { readonly head: Head; readonly evidence: Evidence; readonly leftOut: LeftOut };

export type Prepared = {
  readonly input: SolveInput;
  readonly plain: SolvedHead;
  readonly labelOf: readonly number[];
  readonly center: Float32Array;
  /** Features less the background's centre. */
  readonly source: Rows;
  readonly target: Rows;
  readonly targetRaw: readonly Float32Array[];
  readonly shift: Shift;
  /** The means of both. */
  readonly middle: Float64Array;
  readonly offset: Float64Array;
};

export type FittedMethod = { readonly method: AdaptMethod; readonly fit: RidgeFit };

/** What can be adapted at all. Labels that nothing but their names speak for have no examples to align. */
export function canAdapt({ task, tunedMix, examples, labels, names }: SolveInput): boolean {
  const shown = new Set(examples.flatMap((e) => e.labelsOf));
  const onlyNamed = shown.size < labels.length && names.some((name) => name !== null);
  return task === 'single_label' && tunedMix === 0 && examples.length > 0 && !onlyNamed;
}

/** @throws RangeError when a target row is not finite or of the wrong length */
export function prepareAdaptation(input: SolveInput, targetRaw: readonly Float32Array[]): Prepared | null {
  const plain = canAdapt(input) ? solveHead(input) : null;
  if (!plain || targetRaw.length === 0) return null;
  const k = input.labels.length;
  const center = backgroundCenter(input.background.base, input.transform, input.dimension);
  const source = features(
    input.examples.map((e) => e.base),
    input,
    center,
  );
  const target = features(targetRaw, input, center);
  const labelOf = input.examples.map((e) => e.labelsOf[0]!);
  const said = probabilities(scoresOf(plain.head, targetRaw), k, plain.head.temperature);
  const shift = measureShift(source, labelOf, target, said, k, seeded());
  return { input, plain, labelOf, center, source, target, targetRaw, shift, middle: meanOf(source), offset: meanOf(target) };
}

export function fitMethods({ input, labelOf, source, target, middle, offset }: Prepared): FittedMethod[] {
  const k = input.labels.length;
  const { n, d } = source;
  const [from, to] = [centred(source, middle), centred(target, offset)];
  const mapped = coral(from, to);
  const labelsOf = labelOf.map((c) => [c]);
  const plain = fitRidgeLeaveOneOut({ x: from.x, n, d, labels: k, labelsOf });
  const aligned = fitRidgeLeaveOneOut({ x: mapped, n, d, labels: k, labelsOf });
  const both = new Float64Array((n + to.n) * d);
  both.set(mapped);
  both.set(to.x, n * d);
  // The penalty of the aligned examples: left out, a row whose label was made up agrees with itself too well.
  const taught = { x: both, n: n + to.n, d, labels: k, labelsOf: [...labelsOf, ...pseudoLabels(to, [plain, aligned], k).map((c) => [c])] };
  const trained = fitRidgeLeaveOneOut(taught, [aligned.lambda]);
  return [
    { method: 'centre', fit: plain },
    { method: 'coral', fit: aligned },
    { method: 'self_training', fit: trained },
  ];
}

function pseudoLabels({ x, n, d }: Rows, fits: readonly RidgeFit[], k: number): number[] {
  return Array.from({ length: n }, (_, i) => {
    const scores = new Float64Array(k);
    for (const { weight, bias } of fits)
      for (let c = 0; c < k; c++) {
        let sum = bias[c]!;
        for (let j = 0; j < d; j++) sum += weight[c * d + j]! * x[i * d + j]!;
        scores[c]! += sum;
      }
    return argmax(scores);
  });
}

/** The head of a mix of methods. `judgeOnly`: without the rule for unknown, which costs a look at the whole background. */
export function assemble(prepared: Prepared, fitted: readonly FittedMethod[], mix: AdaptMix, judgeOnly = false): SolvedHead {
  const { input, plain, center, middle, offset } = prepared;
  const k = input.labels.length;
  const d = input.dimension;
  const weight = new Float64Array(k * d);
  const bias = new Float64Array(k);
  const all = new Float64Array(input.examples.length * k);
  for (const { method, fit } of fitted) {
    const w = mix[method];
    if (w === 0) continue;
    for (let i = 0; i < weight.length; i++) weight[i]! += w * fit.weight[i]!;
    for (let c = 0; c < k; c++) bias[c]! += w * fit.bias[c]!;
    for (let i = 0; i < all.length; i++) all[i]! += w * fit.leftOut[i]!;
  }
  const moved = (from: Float32Array): Float32Array => from.map((v, j) => v + offset[j]! - middle[j]!);
  const base: HeadComponent = {
    embedding: 'base',
    name: 'adapted_ridge',
    transform: input.transform,
    dimension: d,
    kernel: null,
    center: Float32Array.from(center, (v, j) => v + offset[j]!),
    weight: Float32Array.from(weight),
    bias: Float32Array.from(bias),
    mix: plain.head.components.find(isLearnt)?.mix ?? 1,
  };
  // The label prior reads a target input as the source input that it is taken for.
  const prior = plain.head.components
    .filter((c) => !isLearnt(c))
    .map((c) => (c.transform === input.transform ? { ...c, center: moved(c.center) } : c));
  if (prior.length > 0) {
    const said = labelPrior(input, center).scores;
    for (let i = 0; i < all.length; i++) all[i] = base.mix * all[i]! + plain.evidence.names_mix * said[i]!;
  }
  const place = new Map(input.examples.map((e, i) => [e.id, i]));
  const scores = new Float64Array(plain.leftOut.scores.length);
  for (const [to, id] of plain.leftOut.ids.entries()) scores.set(all.subarray(place.get(id)! * k, (place.get(id)! + 1) * k), to * k);
  const leftOut: LeftOut = { ...plain.leftOut, scores };
  const { temperature } = fitTemperature(scores, leftOut.truth, k);
  const support = plain.head.support && { ...plain.head.support, center: moved(plain.head.support.center) };
  const bare: Head = { ...plain.head, components: [base, ...prior], temperature, support, openSet: null };
  const head = { ...bare, openSet: judgeOnly || !plain.head.openSet ? null : openSetOf(bare, plain.head.openSet, prepared, leftOut) };
  const right = leftOut.truth.filter((c, i) => argmax(scores.subarray(i * k, (i + 1) * k)) === c).length;
  const evidence: Evidence = {
    ...plain.evidence,
    method: head.components.map((c) => c.name).join(' + '),
    lambda: fitted[0]?.fit.lambda ?? null,
    blend: [],
    temperature,
    left_out_accuracy: leftOut.truth.length > 0 ? right / leftOut.truth.length : null,
    threshold: head.openSet?.threshold ?? null,
  };
  return { head, evidence, leftOut };
}

/** The head of an adapted version over the examples as they are; the plain one when there is nothing left to adapt. */
export function solveAdapted(input: SolveInput, targetRaw: readonly Float32Array[], mix: AdaptMix): SolvedHead | null {
  const prepared = prepareAdaptation(input, targetRaw);
  return prepared ? assemble(prepared, fitMethods(prepared), mix) : solveHead(input);
}

/** Raw scores of base embeddings, [rows × labels]. */
export function scoresOf(head: Head, rows: readonly Float32Array[]): Float64Array {
  const k = head.labels.length;
  const out = new Float64Array(rows.length * k);
  for (const [i, base] of rows.entries()) out.set(rawScores(head, { base, tuned: null }), i * k);
  return out;
}

/** u of the open-set rule (see open-set.ts) for base embeddings. */
export function knownnessOf(head: Head, rule: OpenSetRule, rows: readonly Float32Array[]): number[] {
  return rows.map((base) => knownness(head, rule, { base, tuned: null }));
}

/**
 * As for any head, but the target inputs have a say: they are of the classifier's own classes, so no more of them than was asked for may be answered
 * `unknown` because they look different.
 */
function openSetOf(head: Head, before: OpenSetRule, { input, targetRaw }: Prepared, leftOut: LeftOut): OpenSetRule {
  const { varianceWeight, falseRejectRate: rate } = before;
  const known = leftOutKnownness(leftOut, input.labels.length, varianceWeight);
  const rule = fitOpenSet(known, knownnessOf(head, before, input.background.base), rate, varianceWeight);
  return { ...rule, threshold: Math.min(rule.threshold, quantile(knownnessOf(head, rule, targetRaw), rate)) };
}

function features(raw: readonly Float32Array[], input: SolveInput, center: Float32Array): Rows {
  const d = input.dimension;
  const x = new Float64Array(raw.length * d);
  for (const [i, row] of raw.entries()) transformFeature(row, input.transform, center, x, i * d);
  return { x, n: raw.length, d };
}

/** mulberry32: the same draws in every run, so that the same examples give the same version. */
function seeded(): () => number {
  let a = 0x9e3779b9;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
