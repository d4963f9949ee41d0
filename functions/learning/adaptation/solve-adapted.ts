/**
 * The head over a classifier's examples as a target domain would have shown them. A pure function of the examples and the target inputs, so that an
 * adapted classifier goes on learning: another example, a relabelled or a forgotten one is solved in again against the same target inputs.
 *
 * Three heads over target inputs less their mean are blended: on centred examples, on examples with the target's covariance (CORAL, see align.ts), and
 * one that has seen the target inputs too, under the labels that the first two give them (self-training, Yarowsky 1995; one round). Each is linear in
 * the same space (spaces.ts), so the result is an ordinary head: one matrix, one centre, and a prediction costs what it did. Where inputs have several
 * labels there is no third one: a set of labels is guessed wholly right less often than one.
 */
import type { Head, HeadComponent, OpenSetRule } from '../../../shared/head.ts';
import { fitTemperature } from '../calibration.ts';
import { argmax } from '../features.ts';
import { linearScores } from '../label-prior.ts';
import { exactMatches, fitSigmoidTemperature } from '../multi-label.ts';
import { fitOpenSet, quantile } from '../open-set.ts';
import type { RidgeFit } from '../ridge-fit.ts';
import { knownness, rawScores, type Embeddings } from '../score-head.ts';
import { isLearnt, leftOutKnownness, solveHead, type Evidence, type LeftOut, type SolveInput } from '../solve-head.ts';
import { centred, coral, type Rows } from './align.ts';
import { movedSupport, targetCenter, type Mapped, type MovedSupport } from './moved-support.ts';
import { shared } from '../tuned-shares.ts';
import { foldsWith, spaceOf, type Space } from './spaces.ts';
import { movedCenter, viewsOf, type View } from './views.ts';

export const ADAPT_METHODS = ['centre', 'coral', 'self_training'] as const;
export type AdaptMethod = (typeof ADAPT_METHODS)[number];
/** Weights of the methods, together 1. */
export type AdaptMix = Readonly<Record<AdaptMethod, number>>;
export type SolvedHead = { readonly head: Head; readonly evidence: Evidence; readonly leftOut: LeftOut };

export type Prepared = {
  readonly input: SolveInput;
  readonly plain: SolvedHead;
  readonly views: readonly [View, ...View[]];
  /** In the order of the views. */
  readonly mapped: readonly Mapped[];
  readonly moved: MovedSupport;
  /** The view that most of the head reads: what is said of the domains is said of it. */
  readonly main: View;
  readonly targets: readonly Embeddings[];
};

/** A method's heads, one for each view that has a say, in the order of the views. */
export type FittedMethod = { readonly method: AdaptMethod; readonly fits: readonly RidgeFit[] };

/** Left-out examples know nothing of the shift and ask for smaller ones: +.3 points, chosen on drawings (docs/decisions/0005). */
const PENALTIES = [0.3, 1, 3] as const;

/** Name of the components that read the target's own features. */
const ADAPTED = 'adapted_ridge';

/** What can be adapted at all. Labels that nothing but their names speak for have no examples to align. */
export function canAdapt({ examples, labels, names }: SolveInput): boolean {
  const shown = new Set(examples.flatMap((e) => e.labelsOf));
  const onlyNamed = shown.size < labels.length && names.some((name) => name !== null);
  return examples.length > 0 && !onlyNamed;
}

/** @throws RangeError when a target row is not finite or of the wrong length */
export function prepareAdaptation(input: SolveInput, targets: readonly Embeddings[]): Prepared | null {
  const plain = canAdapt(input) ? solveHead(input) : null;
  if (!plain || targets.length === 0) return null;
  const k = input.labels.length;
  const views = viewsOf(input, plain.head, targets);
  const mapped = views.map((view): Mapped => {
    const from = centred(view.source, view.middle);
    const aligned: Rows = { ...from, x: coral(from, centred(view.target, view.offset)) };
    return { mapped: aligned, space: spaceOf(input, view, aligned, k) };
  });
  const main = views.reduce((a, b) => (b.weight > a.weight ? b : a));
  return { input, plain, views, mapped, moved: movedSupport(input, plain, views[0], mapped[0]!), main, targets };
}

const heard = (views: readonly View[], mapped: readonly Mapped[]): [View, Mapped][] =>
  views.flatMap((view, v) => (view.shares.mix > 0 ? [[view, mapped[v]!] as [View, Mapped]] : []));

export function fitMethods({ input, views, mapped }: Prepared): FittedMethod[] {
  const k = input.labels.length;
  const parts = heard(views, mapped).map(([view, { mapped: aligned, space }]): Part => {
    const foldOf = foldsWith(input, view);
    const to = centred(view.target, view.offset);
    const plain = space.fit(centred(view.source, view.middle), view.labelsOf, foldOf, PENALTIES);
    return { view, to, mapped: aligned, space, plain, aligned: space.fit(aligned, view.labelsOf, foldOf, PENALTIES) };
  });
  const untaught: FittedMethod[] = [
    { method: 'centre', fits: parts.map((p) => p.plain) },
    { method: 'coral', fits: parts.map((p) => p.aligned) },
  ];
  if (input.task === 'multi_label') return untaught;
  const guessed = pseudoLabels(parts, k).map((c) => [c]);
  const trained = parts.map(({ view, to, mapped: from, space, aligned }) => {
    const x = new Float64Array(from.x.length + to.x.length);
    x.set(from.x);
    x.set(to.x, from.x.length);
    // The penalty of the aligned examples: left out, a row whose label was made up agrees with itself too well.
    return space.fit({ x, n: from.n + to.n, d: from.d }, [...view.labelsOf, ...guessed], foldsWith(input, view, to.n), [aligned.lambda]);
  });
  return [...untaught, { method: 'self_training', fits: trained }];
}

type Part = {
  readonly view: View;
  readonly to: Rows;
  readonly mapped: Rows;
  readonly space: Space;
  readonly plain: RidgeFit;
  readonly aligned: RidgeFit;
};

function pseudoLabels(parts: readonly Part[], k: number): number[] {
  const n = parts[0]?.to.n ?? 0;
  const scores = new Float64Array(n * k);
  for (const { view, to, space, plain, aligned } of parts) {
    const { x, width } = space.seen(to);
    for (const { weight, bias } of [plain, aligned])
      for (let i = 0; i < n; i++)
        for (let c = 0; c < k; c++) {
          let sum = bias[c]!;
          for (let j = 0; j < width; j++) sum += weight[c * width + j]! * x[i * width + j]!;
          scores[i * k + c]! += view.shares.of[c]! * sum;
        }
  }
  return Array.from({ length: n }, (_, i) => argmax(scores.subarray(i * k, (i + 1) * k)));
}

/** Weights, bias and left-out scores (of the view's own rows) of a mix of methods. */
function mixed(fitted: readonly FittedMethod[], mix: AdaptMix, v: number, { rows, shares }: View, k: number) {
  const weight = new Float64Array(fitted[0]!.fits[v]!.weight.length);
  const bias = new Float64Array(k);
  const leftOut = new Float64Array(rows.length * k);
  for (const { method, fits } of fitted) {
    const [w, fit] = [mix[method], fits[v]!];
    if (w === 0) continue;
    for (let i = 0; i < weight.length; i++) weight[i]! += w * fit.weight[i]!;
    for (let c = 0; c < k; c++) bias[c]! += w * fit.bias[c]!;
    for (let i = 0; i < leftOut.length; i++) leftOut[i]! += w * fit.leftOut[i]!;
  }
  return { weight: Float32Array.from(shared(weight, shares)), bias: Float32Array.from(shared(bias, shares)), leftOut };
}

/** The head of a mix of methods. `judgeOnly`: without the rule for unknown, which costs a look at the whole background. */
export function assemble(prepared: Prepared, fitted: readonly FittedMethod[], mix: AdaptMix, judgeOnly = false): SolvedHead {
  const { input, plain, views, mapped, targets } = prepared;
  const k = input.labels.length;
  const d = input.dimension;
  const all = new Float64Array(input.examples.length * k);
  // What the plain head leaves to its learnt components beside the names of labels.
  const learnt = plain.head.components.find(isLearnt);
  const share = learnt ? learnt.mix / views.find((view) => view.embedding === learnt.embedding)!.shares.mix : 1;
  const adapted = heard(views, mapped).map(([view, { space }], v): HeadComponent => {
    const { weight, bias, leftOut } = mixed(fitted, mix, v, view, k);
    for (const [r, i] of view.rows.entries()) for (let c = 0; c < k; c++) all[i * k + c]! += view.shares.of[c]! * leftOut[r * k + c]!;
    const { embedding } = view;
    const { kernel } = space;
    return {
      embedding,
      name: ADAPTED,
      transform: input.transform,
      dimension: d,
      kernel,
      center: targetCenter(view),
      weight,
      bias,
      mix: share * view.shares.mix,
    };
  });
  // The label prior reads a target input as the source input that it is taken for.
  const named = plain.head.components.filter((c) => !isLearnt(c));
  const prior = named.map((c) => ({ ...c, center: movedCenter(c, input, targets) }));
  if (named.length > 0) for (let i = 0; i < all.length; i++) all[i]! *= share;
  for (const c of named) for (const [i, said] of linearScores(c, input.examples).entries()) all[i]! += c.mix * said;
  const place = new Map(input.examples.map((e, i) => [e.id, i]));
  const scores = new Float64Array(plain.leftOut.scores.length);
  for (const [to, id] of plain.leftOut.ids.entries()) scores.set(all.subarray(place.get(id)! * k, (place.get(id)! + 1) * k), to * k);
  const { support, novelty, weight } = prepared.moved;
  const leftOut: LeftOut = { ...plain.leftOut, scores, novelty };
  const { truth, labelsOf } = leftOut;
  const multi = input.task === 'multi_label';
  const temperature = input.trainedTemperature ?? (multi ? fitSigmoidTemperature(scores, labelsOf, k) : fitTemperature(scores, truth, k).temperature);
  const bare: Head = { ...plain.head, components: [...adapted, ...prior], temperature, support, openSet: null };
  const head = {
    ...bare,
    openSet: judgeOnly || !plain.head.openSet ? null : openSetOf(bare, { ...plain.head.openSet, varianceWeight: weight }, prepared, leftOut),
  };
  const right = multi ? exactMatches(scores, labelsOf, k) : truth.filter((c, i) => argmax(scores.subarray(i * k, (i + 1) * k)) === c).length;
  const evidence: Evidence = {
    ...plain.evidence,
    method: head.components.map((c) => c.name).join(' + '),
    lambda: fitted[0]?.fits[0]?.lambda ?? null,
    blend: [],
    temperature,
    left_out_accuracy: truth.length > 0 ? right / truth.length : null,
    threshold: head.openSet?.threshold ?? null,
  };
  return { head, evidence, leftOut };
}

/** The head of an adapted version over the examples as they are; the plain one when there is nothing left to adapt. */
export function solveAdapted(input: SolveInput, targets: readonly Embeddings[], mix: AdaptMix): SolvedHead | null {
  const prepared = prepareAdaptation(input, targets);
  return prepared ? assemble(prepared, fitMethods(prepared), mix) : solveHead(input);
}

/** Raw scores, [rows × labels]. */
export function scoresOf(head: Head, rows: readonly Embeddings[]): Float64Array {
  const k = head.labels.length;
  const out = new Float64Array(rows.length * k);
  for (const [i, row] of rows.entries()) out.set(rawScores(head, row), i * k);
  return out;
}

/** The background as a head with these components reads it. */
function backgroundRows({ background }: SolveInput, components: readonly HeadComponent[]): Embeddings[] {
  const tail = components.some((c) => c.embedding === 'tuned');
  const rows = background.base.map((base, i) => ({ base, tuned: background.tuned[i] ?? null }));
  return tail ? rows.filter((row) => row.tuned !== null) : rows;
}

/** u of the open-set rule (see open-set.ts). */
export function knownnessOf(head: Head, rule: OpenSetRule, rows: readonly Embeddings[]): number[] {
  return rows.map((row) => knownness(head, rule, row));
}

/**
 * As for any head, but the target inputs have a say: they are of the classifier's own classes, so no more of them than was asked for may be answered
 * `unknown` because they look different.
 */
function openSetOf(head: Head, before: OpenSetRule, { input, targets }: Prepared, leftOut: LeftOut): OpenSetRule {
  const { varianceWeight, falseRejectRate: rate } = before;
  const known = leftOutKnownness(leftOut, input.labels.length, varianceWeight);
  const rule = fitOpenSet(known, knownnessOf(head, before, backgroundRows(input, head.components)), rate, varianceWeight);
  return { ...rule, threshold: Math.min(rule.threshold, quantile(knownnessOf(head, rule, targets), rate)) };
}
