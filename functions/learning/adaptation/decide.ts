/**
 * Whether to adapt, and how: every method is solved, judged on the target inputs without their labels (and with those that are given), blended, and
 * the blend is refused when there is nothing to adapt to or the evidence says that the answers would get worse.
 */
import { seededRandom, signTest } from '../../../shared/statistics.ts';
import type { Embeddings } from '../score-head.ts';
import type { SolveInput } from '../solve-head.ts';
import { argmax } from '../features.ts';
import { centred } from './align.ts';
import { belongingOf, steadyRidge, type Belonging } from './belonging.ts';
import { refusalOf, type AdaptationEvidence, type Judged, type RefusalReason } from './refusal.ts';
import {
  assemble,
  fitMethods,
  knownnessOf,
  prepareAdaptation,
  scoresOf,
  type AdaptMethod,
  type AdaptMix,
  type Prepared,
  type SolvedHead,
} from './solve-adapted.ts';
import { measureShift, type Shift } from './shift.ts';
import { entropy, information, neighbourhoodDensity, probabilities, tellDomains } from './validators.ts';

/** Fewer inputs than this say nothing of a domain, whatever the classes. */
const INPUTS_MIN = 12;
/** The same draws in every run, so that the same examples give the same decision. */
const SEED = 0x9e3779b9;
/** Blended evenly: no validator here ranks the methods of one adaptation better than chance does (docs/decisions/0005). */
const MIX: AdaptMix = { centre: 1 / 3, coral: 1 / 3, self_training: 1 / 3 };
/** What has not been taught the target inputs themselves, so that it can be asked whether it knows them. */
const UNTAUGHT: AdaptMix = { centre: 1 / 2, coral: 1 / 2, self_training: 0 };

/** @template E the evidence */
export type Decided<E, R> =
  | { readonly adapt: true; readonly mix: AdaptMix; readonly solved: SolvedHead; readonly evidence: E }
  | { readonly adapt: false; readonly reason: R; readonly detail: string; readonly evidence: E | null };
export type Decision = Decided<AdaptationEvidence, RefusalReason>;

/** Inputs that an adaptation of `classes` classes asks for: two of each on average, within what one call takes. */
export const inputsNeeded = (classes: number): number => Math.min(64, Math.max(INPUTS_MIN, 2 * classes));

export function tooFew(inputs: number, needed: number) {
  const detail = `${inputs} target inputs cannot show another domain: send at least ${needed}, of as many labels as possible.`;
  return inputs < needed ? ({ adapt: false, reason: 'too_few_inputs', detail, evidence: null } as const) : null;
}

/**
 * @param labels of the target inputs, as indices; null where unknown
 * @returns null when this classifier cannot be adapted (see `canAdapt`); inputs with several labels: decide-several.ts
 */
export function decideAdaptation(input: SolveInput, target: readonly Embeddings[], labels: readonly (number | null)[]): Decision | null {
  const classes = new Set(input.examples.flatMap((e) => e.labelsOf)).size;
  const needed = inputsNeeded(classes);
  const few = tooFew(target.length, needed);
  if (few) return few;
  const prepared = input.task === 'single_label' ? prepareAdaptation(input, target) : null;
  if (!prepared) return null;
  const fitted = fitMethods(prepared);
  const judge = judgeOf(prepared, labels);
  const shift = shiftOf(prepared);
  const alone = fitted.map((one) => ({ method: one.method, ...judge(assemble(prepared, [one], only(one.method), true)) }));
  const mix = MIX;
  const solved = assemble(prepared, fitted, mix);
  const evidence: AdaptationEvidence = {
    inputs: target.length,
    inputs_needed: needed,
    labelled: labels.filter((c) => c !== null).length,
    labels: comparison(prepared, solved, labels),
    shift: { distance: shift.distance, chance: shift.chance },
    labels_answered: labelsAnswered(prepared, shift),
    domain_distance: domainDistance(prepared),
    strangers: strangers(prepared, assemble(prepared, fitted, UNTAUGHT, true)),
    belonging: belonging(prepared),
    before: judge(prepared.plain),
    candidates: alone.map((one) => ({ ...one, weight: mix[one.method] })),
    after: judge(solved),
  };
  const refusal = refusalOf(evidence, classes);
  return refusal ? { adapt: false, ...refusal, evidence } : { adapt: true, mix, solved, evidence };
}

export function only(method: AdaptMethod): AdaptMix {
  return { centre: 0, coral: 0, self_training: 0, [method]: 1 };
}

function shiftOf({ input, plain, main, targets }: Prepared): Shift {
  const k = input.labels.length;
  const said = probabilities(scoresOf(plain.head, targets), k, plain.head.temperature);
  return measureShift(main.source, main.labelOf, main.target, said, k, seededRandom(SEED));
}

function judgeOf({ input, plain, main, targets }: Prepared, labels: readonly (number | null)[]): (solved: SolvedHead) => Judged {
  const k = input.labels.length;
  const { ratio } = tellDomains(main.source, main.target);
  const place = new Map(main.rows.map((i, row) => [input.examples[i]!.id, row]));
  const answers = (scores: Float64Array): number[] => targets.map((_, i) => argmax(scores.subarray(i * k, (i + 1) * k)));
  const said = answers(scoresOf(plain.head, targets));
  return ({ head, leftOut }) => {
    const scores = scoresOf(head, targets);
    const p = probabilities(scores, k, head.temperature);
    const now = answers(scores);
    let [total, right] = [0, 0];
    for (const [i, id] of leftOut.ids.entries()) {
      const weight = ratio.get(place.get(id) ?? -1) ?? 0;
      total += weight;
      if (argmax(leftOut.scores.subarray(i * k, (i + 1) * k)) === leftOut.truth[i]) right += weight;
    }
    const told = labels.flatMap((c, i) => (c === null ? [] : [now[i] === c]));
    return {
      information: information(p, k),
      neighbourhood_density: neighbourhoodDensity(p, k),
      weighted_left_out_accuracy: total > 0 ? right / total : null,
      agreement: now.filter((c, i) => c === said[i]).length / now.length,
      labelled_accuracy: told.length > 0 ? told.filter(Boolean).length / told.length : null,
    };
  };
}

/** What the given labels say of the version before and the adapted one, input by input. */
function comparison({ input, plain, targets }: Prepared, solved: SolvedHead, labels: readonly (number | null)[]): AdaptationEvidence['labels'] {
  if (labels.every((c) => c === null)) return null;
  const k = input.labels.length;
  const [before, after] = [plain.head, solved.head].map((head) => scoresOf(head, targets)) as [Float64Array, Float64Array];
  let [won, lost] = [0, 0];
  for (const [i, c] of labels.entries()) {
    if (c === null) continue;
    const [was, is] = [before, after].map((scores) => argmax(scores.subarray(i * k, (i + 1) * k)) === c);
    if (is && !was) won++;
    if (was && !is) lost++;
  }
  return { won, lost, chance: signTest(won, lost) };
}

/**
 * exp H of the shares of a ridge's answers, as they are and with the shift δ taken off, whichever is more: far away everything is answered with the few
 * labels that lie in that direction, and without δ it is not; a target of one label is answered with that one either way.
 */
function labelsAnswered({ input, main }: Prepared, shift: Shift): number {
  const k = input.labels.length;
  const head = steadyRidge(main.source, main.labelOf, k);
  const { n } = main.target;
  const spreads = [main.target, centred(main.target, shift.delta)].map((rows) => {
    const scores = head(rows);
    const shares = new Float64Array(k);
    for (let i = 0; i < n; i++) shares[argmax(scores.subarray(i * k, (i + 1) * k))]! += 1 / n;
    return Math.exp(entropy(shares));
  });
  return Math.max(...spreads);
}

export function domainDistance({ main: { source, target, middle, offset } }: Prepared): { before: number; after: number } {
  return { before: tellDomains(source, target).distance, after: tellDomains(centred(source, middle), centred(target, offset)).distance };
}

function belonging({ input, main: { source, target, labelOf, middle, offset } }: Prepared): Belonging {
  return belongingOf(centred(source, middle), labelOf, centred(target, offset), centred(target, middle), input.labels.length);
}

/** Under the rule of the version before: the new one's own threshold has seen the target. */
export function strangers({ plain, targets, moved }: Prepared, solved: SolvedHead): { before: number; after: number } | null {
  const rule = plain.head.openSet;
  if (!rule) return null;
  const share = (head: SolvedHead['head'], varianceWeight: number): number =>
    knownnessOf(head, { ...rule, varianceWeight }, targets).filter((u) => u < rule.threshold).length / targets.length;
  return { before: share(plain.head, rule.varianceWeight), after: share(solved.head, moved.weight) };
}
