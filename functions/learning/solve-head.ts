/**
 * The head of a version, solved from all enrolled examples at once: order-free, and exact under deletion because nothing is remembered but them.
 * Kernel ridge on the base embedding, blended with linear ones; ridge on the tuned one beside it when the version carries a tail; the labels' names.
 */
import { KERNEL_POWER, type FeatureTransform, type Head, type HeadComponent } from '../../shared/head.ts';
import { blend, type Blended, type Judge, type LinearMap } from './blend.ts';
import { CAUTIOUS_BELIEF, fitTemperature, priorTemperature } from './calibration.ts';
import { candidatesFor, fitPlain } from './candidates.ts';
import { argmax, backgroundCenter } from './features.ts';
import { judgedRows, newestFirst } from './judged-rows.ts';
import { kernelInPlace } from './kernel.ts';
import { mixesOf, shareOfNames } from './label-names.ts';
import { hearNames } from './label-prior.ts';
import { exactMatches, fitSigmoids, fitSigmoidTemperature } from './multi-label.ts';
import { leftOutVariances, variance } from './novelty.ts';
import { BEST_WEIGHT, fitOpenSet, largest } from './open-set.ts';
import { knownness, supportCosines } from './score-head.ts';
import { chooseSupport, NO_LABEL, type Chosen } from './support.ts';
import { shared, sharesOf, type Shares } from './tuned-shares.ts';

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
  /** The label of each row; of several, the first, and NO_LABEL where it has none. */
  readonly truth: readonly number[];
  readonly labelsOf: readonly (readonly number[])[];
  /** Row-major [rows × labels], before the temperature. */
  readonly scores: Float64Array;
  /** v of each row (novelty.ts). */
  readonly novelty: Float64Array;
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
  const labelsOf = rows.map((e) => e.labelsOf);
  const truth = labelsOf.map((own) => own[0] ?? NO_LABEL);
  const scores = new Float64Array(rows.length * k);

  // Labels that only their names speak for: the examples of the others must not shout them down.
  const onlyNamed = hasNames && input.task === 'single_label' && new Set(examples.flatMap((e) => e.labelsOf)).size < k;

  const shares = sharesOf(input);
  const tunedMix = shares.tuned.mix;
  const tunedRows = tunedMix > 0 ? examples.filter((e) => e.tuned !== null) : [];
  const chosen = chooseSupport(examples, input.transform, center, dimension);
  const blended =
    chosen && shares.base.mix > 0
      ? blend(candidatesFor(input, center, chosen, judged, onlyNamed), judgeOf(speaksForMost(labelsOf.flat(), examples) ? labelsOf : [], k, multi))
      : null;
  if (blended) {
    for (const map of blended.maps) components.push(learntComponent('base', map, input.transform, center, shares.base));
    for (let i = 0; i < scores.length; i++) scores[i]! += shares.base.of[i % k]! * blended.leftOut[i]!;
  }
  const tunedCenter = tunedMix > 0 ? backgroundCenter(input.background.tuned, input.transform, dimension) : null;
  const tunedJudged = judged.filter((i) => examples[i]!.tuned !== null);
  const tunedPlace = new Map(tunedRows.map((e, i) => [e.id, i]));
  const tuned = tunedCenter
    ? fitPlain(
        tunedRows,
        (e) => e.tuned!,
        input,
        tunedCenter,
        tunedJudged.map((i) => tunedPlace.get(examples[i]!.id)!),
      )
    : null;
  if (tuned && tunedCenter) {
    components.push(learntComponent('tuned', { space: 'linear', ...tuned }, input.transform, tunedCenter, shares.tuned));
    const at = new Map(judged.map((i, row) => [i, row]));
    for (const [r, i] of tunedJudged.entries())
      for (let c = 0; c < k; c++) scores[at.get(i)! * k + c]! += shares.tuned.of[c]! * tuned.leftOut[r * k + c]!;
  }

  let namesMix = 0;
  if (hasNames) {
    const single = newestFirst(
      examples.filter((e) => e.labelsOf.length === 1),
      k,
    );
    // Pictures' rows have no level over the background; scores of several labels are each compared with 0; and a label without an example has no level.
    const centred = !input.zeroShot && !multi && !onlyNamed;
    const heard = hearNames(input, center, { single, judged: rows, centred });
    const all = { names: heard.single, truth: single.map((e) => e.labelsOf[0]!) };
    const loss = (left: Float64Array): number => (multi ? fitSigmoids(left, labelsOf, k) : fitTemperature(left, truth, k, CAUTIOUS_BELIEF)).loss;
    const left = { ridge: scores, names: heard.judged, loss, shown: new Set(labelsOf.flat()).size };
    const mix = mixesOf(shareOfNames({ ...left, labels: k, all, onlyNamed }));
    namesMix = mix.names;
    for (const [i, c] of components.entries()) components[i] = { ...c, mix: c.mix * mix.ridge };
    components.push({ ...heard.component, mix: namesMix });
    for (let i = 0; i < scores.length; i++) scores[i] = mix.ridge * scores[i]! + namesMix * heard.judged[i]!;
  }

  const leftOut: LeftOut = { ids: rows.map((e) => e.id), truth, labelsOf, scores, novelty: leftOutNovelty(rows, chosen) };
  const temperature =
    input.trainedTemperature ??
    (multi
      ? fitSigmoidTemperature(scores, labelsOf, k)
      : onlyNamed
        ? priorTemperature(k, CAUTIOUS_BELIEF)
        : fitTemperature(scores, truth, k).temperature);
  const head: Head = { labels, task: input.task, components, temperature, openSet: null, support: chosen?.support ?? null, standardisation: null };
  const openSet = input.falseRejectRate === null ? null : openSetOf(head, chosen?.novelty.weight ?? 0, input, leftOut, onlyNamed);
  const right = multi ? exactMatches(scores, labelsOf, k) : truth.filter((c, i) => argmax(scores.subarray(i * k, (i + 1) * k)) === c).length;
  const evidence: Evidence = {
    examples: examples.length,
    method: components.map((c) => c.name).join(' + '),
    lambda: blended?.lambda ?? null,
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

/** Left-out rows of fewer than half of the classes say nothing of what is good for all. */
export function speaksForMost(truth: readonly number[], examples: readonly LearnExample[]): boolean {
  return 2 * new Set(truth).size >= new Set(examples.flatMap((e) => e.labelsOf)).size;
}

function judgeOf(labelsOf: readonly (readonly number[])[], k: number, multi: boolean): Judge {
  const truth = labelsOf.map((own) => own[0]!);
  return { rows: truth.length, of: (leftOut) => (multi ? fitSigmoids(leftOut, labelsOf, k) : fitTemperature(leftOut, truth, k)) };
}

const NAME_OF = { linear: 'ridge', kernel: 'kernel_ridge' } as const;

/** Whether a component was learnt from the examples, not made from the labels' names. */
export const isLearnt = ({ name }: HeadComponent): boolean => Object.values<string>(NAME_OF).includes(name);

function learntComponent(
  embedding: 'base' | 'tuned',
  map: LinearMap,
  transform: FeatureTransform,
  center: Float32Array,
  shares: Shares,
): HeadComponent {
  const { space } = map;
  const kernel: HeadComponent['kernel'] = space === 'kernel' ? { power: KERNEL_POWER } : null;
  const [weight, bias] = [map.weight, map.bias].map((rows) => Float32Array.from(shared(rows, shares))) as [Float32Array, Float32Array];
  return { embedding, name: NAME_OF[space], transform, dimension: center.length, kernel, center, weight, bias, mix: shares.mix };
}

/** v of each row with itself left out, [rows]; zeros without support. */
function leftOutNovelty(rows: readonly LearnExample[], chosen: Chosen | null): Float64Array {
  if (!chosen) return new Float64Array(rows.length);
  const { support, novelty } = chosen;
  const place = new Map(chosen.ids.map((id, i) => [id, i]));
  const own = leftOutVariances(novelty);
  return Float64Array.from(rows, ({ id, base }) => {
    const at = place.get(id);
    // One that the variance does not lean on is as it would be left out.
    if (at !== undefined && at < own.length) return own[at]!;
    return variance(support.factor, kernelInPlace(supportCosines({ support }, { base, tuned: null }), KERNEL_POWER));
  });
}

/** u of the left-out rows that have a label: what has none is nothing that should be known. */
export function leftOutKnownness({ scores, novelty, labelsOf }: LeftOut, labels: number, weight: number): number[] {
  const u = (v: number, i: number): number => BEST_WEIGHT * largest(scores.subarray(i * labels, (i + 1) * labels)) - weight * v;
  return Array.from(novelty, u).filter((_, i) => labelsOf[i]!.length > 0);
}

function openSetOf(head: Head, weight: number, input: SolveInput, leftOut: LeftOut, onlyNamed: boolean): Head['openSet'] {
  const known = leftOutKnownness(leftOut, input.labels.length, weight);
  const tail = head.components.some((c) => c.embedding === 'tuned');
  const background: number[] = [];
  for (const [i, base] of input.background.base.entries()) {
    const tuned = input.background.tuned[i] ?? null;
    if (!tail || tuned) background.push(knownness(head, { bestWeight: BEST_WEIGHT, varianceWeight: weight }, { base, tuned }));
  }
  const rate = input.falseRejectRate ?? 0;
  // Zero-shot scores of pictures hardly tell known from unknown: without examples the background stands for the known, not against them.
  return onlyNamed && input.zeroShot ? fitOpenSet([], background, rate, weight, rate) : fitOpenSet(known, background, rate, weight);
}
