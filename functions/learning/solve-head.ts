/**
 * The head of a version, solved from all enrolled examples at once: order-free, and exact under deletion because nothing is remembered but them.
 * Ridge on the base embedding; ridge on the tuned one beside it when the version carries a tail; the label-name prior for text.
 */
import type { FeatureTransform, Head, HeadComponent } from '../../shared/head.ts';
import { blend, type Blended, type Candidate } from './blend.ts';
import { fitTemperature } from './calibration.ts';
import { backgroundCenter, normaliseInPlace, transformFeature } from './features.ts';
import { judgedRows, newestFirst } from './judged-rows.ts';
import { mixesOf, shareOfNames } from './label-names.ts';
import { labelPrior } from './label-prior.ts';
import { exactMatches, fitSigmoidTemperature } from './multi-label.ts';
import { fitAgainstBackground } from './only-named.ts';
import { BEST_WEIGHT, fitOpenSet, largest, supportWeight } from './open-set.ts';
import { fitRidgeLeaveOneOut, takeRows, type RidgeFit, type RidgeInput } from './ridge.ts';
import { nearestSupport, rawScores, type Embeddings } from './score-head.ts';
import { chooseSupport, leftOutSimilarity } from './support.ts';
import { fitWhitened, makeWhitener, WHITENED_ROWS_MAX, type Whitener } from './whitening.ts';

export type LearnExample = {
  readonly id: string;
  readonly labelsOf: readonly number[];
  readonly base: Float32Array;
  readonly tuned: Float32Array | null;
};
export type Background = { readonly base: readonly Float32Array[]; readonly tuned: readonly Float32Array[] };
export type SolveInput = {
  readonly labels: readonly string[];
  readonly task: 'single_label' | 'multi_label';
  readonly transform: FeatureTransform;
  readonly dimension: number;
  readonly examples: readonly LearnExample[];
  /** Embedded label name or description (texts) or zero-shot row (pictures), per label; null where there is none. */
  readonly names: readonly (Float32Array | null)[];
  /** Whether `names` are zero-shot rows. */
  readonly zeroShot?: boolean;
  readonly background: Background;
  /** Weight of the tuned component, 0…1; 0 without a tail. */
  readonly tunedMix: number;
  /** Temperature that the trainer measured out of fold: left-out scores on a tail that saw the rows are too good to calibrate with. */
  readonly trainedTemperature: number | null;
  readonly falseRejectRate: number | null;
};

export type LeftOut = {
  readonly ids: readonly string[];
  /** The label of each row; of several, the first. */
  readonly truth: readonly number[];
  readonly labelsOf: readonly (readonly number[])[];
  /** Row-major [rows × labels], before the temperature. */
  readonly scores: Float64Array;
};
export type Evidence = {
  readonly examples: number;
  readonly method: string;
  readonly lambda: number | null;
  /** What was blended into the base component, by the left-out loss of each. */
  readonly blend: Blended['parts'];
  readonly tuned_lambda: number | null;
  readonly names_mix: number;
  readonly tuned_mix: number;
  readonly temperature: number;
  /** Rows whose class keeps an example when they are left out; the accuracy is over these. */
  readonly left_out_rows: number;
  readonly left_out_accuracy: number | null;
  readonly threshold: number | null;
};

/**
 * Solves a head; null when there is nothing to answer with (no examples, no label names).
 * Cost: O(n²d + n³) for n examples below the dimension d, O(nd² + d³) above.
 * @throws RangeError when an embedding is not finite or of the wrong length
 */
export function solveHead(input: SolveInput): { head: Head; evidence: Evidence; leftOut: LeftOut } | null {
  const { labels, examples, dimension } = input;
  const hasNames = input.names.some((n) => n !== null);
  if (labels.length === 0 || (examples.length === 0 && !hasNames)) return null;
  const k = labels.length;
  const center = backgroundCenter(input.background.base, input.transform, dimension);
  const components: HeadComponent[] = [];

  const multi = input.task === 'multi_label';
  const judged = judgedRows(examples, k, multi);
  const rows = judged.map((i) => examples[i]!);
  const truth = rows.map((e) => e.labelsOf[0]!);
  const scores = new Float64Array(rows.length * k);

  // Labels that only their names speak for: the examples of the others must not shout them down.
  const onlyNamed = hasNames && input.task === 'single_label' && new Set(examples.flatMap((e) => e.labelsOf)).size < k;

  const tunedRows = input.tunedMix > 0 ? examples.filter((e) => e.tuned !== null) : [];
  const tunedMix = tunedRows.length > 0 ? input.tunedMix : 0;
  const blended = examples.length > 0 && tunedMix < 1 ? blend(candidatesFor(input, center, judged, onlyNamed), truth, k) : null;
  const base = blended?.fit ?? null;
  if (base) {
    components.push(ridgeComponent('base', base, input.transform, center, 1 - tunedMix));
    for (let i = 0; i < scores.length; i++) scores[i]! += (1 - tunedMix) * base.leftOut[i]!;
  }
  const tunedCenter = tunedMix > 0 ? backgroundCenter(input.background.tuned, input.transform, dimension) : null;
  const tunedJudged = judged.filter((i) => examples[i]!.tuned !== null);
  const tunedPlace = new Map(tunedRows.map((e, i) => [e.id, i]));
  const tuned = tunedCenter
    ? fit(
        tunedRows,
        (e) => e.tuned!,
        input,
        tunedCenter,
        tunedJudged.map((i) => tunedPlace.get(examples[i]!.id)!),
      )
    : null;
  if (tuned && tunedCenter) {
    components.push(ridgeComponent('tuned', tuned, input.transform, tunedCenter, tunedMix));
    const at = new Map(judged.map((i, row) => [i, row]));
    for (const [r, i] of tunedJudged.entries()) for (let c = 0; c < k; c++) scores[at.get(i)! * k + c]! += tunedMix * tuned.leftOut[r * k + c]!;
  }

  let namesMix = 0;
  if (hasNames) {
    const prior = labelPrior({ ...input, examples: rows }, center);
    const said = prior.scores;
    const single = newestFirst(
      examples.filter((e) => e.labelsOf.length === 1),
      k,
    );
    const all = { names: labelPrior({ ...input, examples: single }, center).scores, truth: single.map((e) => e.labelsOf[0]!) };
    // Rows of several labels have no one label to be likely under.
    const one = [...rows.keys()].filter((i) => rows[i]!.labelsOf.length === 1);
    const left = { ridge: takeRows(scores, one, k), names: takeRows(said, one, k), truth: one.map((i) => truth[i]!) };
    const mix = mixesOf(shareOfNames({ ...left, labels: k, all, onlyNamed }));
    namesMix = mix.names;
    for (const [i, c] of components.entries()) components[i] = { ...c, mix: c.mix * mix.ridge };
    components.push({ ...prior.component, mix: namesMix });
    for (let i = 0; i < scores.length; i++) scores[i] = mix.ridge * scores[i]! + namesMix * said[i]!;
  }

  const labelsOf = rows.map((e) => e.labelsOf);
  const leftOut = { ids: rows.map((e) => e.id), truth, labelsOf, scores };
  const temperature = multi
    ? fitSigmoidTemperature(scores, labelsOf, k)
    : (input.trainedTemperature ?? fitTemperature(scores, onlyNamed ? [] : truth, k).temperature);
  const support = chooseSupport(examples, input.transform, center, dimension);
  const head: Head = { labels, task: input.task, components, temperature, openSet: null, support };
  const openSet = input.falseRejectRate === null ? null : openSetOf(head, input, leftOut, rows, onlyNamed);
  const right = multi ? exactMatches(scores, labelsOf, k) : truth.filter((c, i) => argmax(scores.subarray(i * k, (i + 1) * k)) === c).length;
  const evidence: Evidence = {
    examples: examples.length,
    method: components.map((c) => c.name).join(' + '),
    lambda: base?.lambda ?? null,
    blend: blended?.parts ?? [],
    tuned_lambda: tuned?.lambda ?? null,
    names_mix: namesMix,
    tuned_mix: tunedMix,
    temperature,
    left_out_rows: judged.length,
    left_out_accuracy: judged.length > 0 ? right / judged.length : null,
    threshold: openSet?.threshold ?? null,
  };
  return { head: { ...head, openSet }, evidence, leftOut };
}

/** Plain ridge always; beside it ridge in the background's metric for pictures that may look like nothing the backbone knows. */
function candidatesFor(input: SolveInput, center: Float32Array, judged: readonly number[], onlyNamed: boolean): Candidate[] {
  if (onlyNamed) {
    const against = fitAgainstBackground(input, center);
    return [{ name: 'ridge', fit: { ...against, leftOut: takeRows(against.leftOut, judged, input.labels.length) } }];
  }
  const plain: Candidate = { name: 'ridge', fit: fit(input.examples, (e) => e.base, input, center, judged) };
  const whitener =
    input.task === 'single_label' && input.transform === 'sqrt_l2' && input.examples.length <= WHITENED_ROWS_MAX ? whitenerOf(input, center) : null;
  if (!whitener) return [plain];
  return [
    plain,
    {
      name: 'whitened_ridge',
      fit: fitWhitened(
        ridgeInput(input.examples, (e) => e.base, input, center, judged),
        whitener,
      ),
    },
  ];
}

/** A background is the same array for as long as its owner keeps it, and its factor costs more than a small head. */
const whiteners = new WeakMap<readonly Float32Array[], Whitener | null>();

function whitenerOf(input: SolveInput, center: Float32Array): Whitener | null {
  const rows = input.background.base;
  const known = whiteners.get(rows);
  if (known !== undefined) return known;
  const d = input.dimension;
  const x = new Float64Array(rows.length * d);
  for (const [i, row] of rows.entries()) transformFeature(row, input.transform, center, x, i * d);
  const made = makeWhitener(x, rows.length, d);
  whiteners.set(rows, made);
  return made;
}

type Get = (e: LearnExample) => Float32Array;

function fit(rows: readonly LearnExample[], get: Get, input: SolveInput, center: Float32Array, judged: readonly number[]): RidgeFit {
  return fitRidgeLeaveOneOut(ridgeInput(rows, get, input, center, judged));
}

function ridgeInput(rows: readonly LearnExample[], get: Get, input: SolveInput, center: Float32Array, judged: readonly number[]): RidgeInput {
  const d = input.dimension;
  const x = new Float64Array(rows.length * d);
  for (const [i, row] of rows.entries()) transformFeature(get(row), input.transform, center, x, i * d);
  return { x, n: rows.length, d, labels: input.labels.length, labelsOf: rows.map((r) => r.labelsOf), judged };
}

function ridgeComponent(embedding: 'base' | 'tuned', f: RidgeFit, transform: FeatureTransform, center: Float32Array, mix: number): HeadComponent {
  const dimension = center.length;
  return { embedding, name: 'ridge', transform, dimension, center, weight: Float32Array.from(f.weight), bias: Float32Array.from(f.bias), mix };
}

function openSetOf(head: Head, input: SolveInput, leftOut: LeftOut, rows: readonly LearnExample[], onlyNamed: boolean): Head['openSet'] {
  const k = input.labels.length;
  const { support } = head;
  const weight = supportWeight(support);
  const similarity = support ? leftOutSimilarity(rows, input.examples, support) : [];
  const known = rows.map((_, i) => BEST_WEIGHT * largest(leftOut.scores.subarray(i * k, (i + 1) * k)) + weight * (similarity[i] ?? 0));
  const tail = head.components.some((c) => c.embedding === 'tuned');
  const background: number[] = [];
  for (const [i, base] of input.background.base.entries()) {
    const tuned = input.background.tuned[i] ?? null;
    if (tail && !tuned) continue;
    const e: Embeddings = { base, tuned };
    background.push(BEST_WEIGHT * largest(rawScores(head.components, k, e)) + weight * (nearestSupport(head, e)?.similarity ?? 0));
  }
  const rate = input.falseRejectRate ?? 0;
  // Zero-shot scores of pictures hardly tell known from unknown: without examples the background stands for the known, not against them.
  return onlyNamed && input.zeroShot ? fitOpenSet([], background, rate, weight, rate) : fitOpenSet(known, background, rate, weight);
}

/** Index of the largest value; the first of equals. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** Unit, centred copy of one raw embedding, for similarities outside heads. */
export function unitFeature(raw: Float32Array, transform: FeatureTransform, center: Float32Array): Float64Array {
  const x = transformFeature(raw, transform, center);
  normaliseInPlace(x);
  return x;
}
