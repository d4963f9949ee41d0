/**
 * Whether to adapt, and how: every method is solved, judged on the target inputs without their labels (and with those that are given), blended, and
 * the blend is refused when there is nothing to adapt to or the evidence says that the answers would get worse.
 */
import type { SolveInput } from '../solve-head.ts';
import { argmax } from '../features.ts';
import { centred } from './align.ts';
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
import { entropy, information, neighbourhoodDensity, probabilities, tellDomains } from './validators.ts';

/** Fewer inputs than this say nothing of a domain, whatever the classes. */
const INPUTS_MIN = 12;
/** A shift that chance brings more often is none. */
const CHANCE_MAX = 0.01;
/** Below this part of the labels the mean of the target says more about which labels it shows than about how they look there. */
const LABELS_SHARE_MIN = 0.5;
/** More target inputs than this that are unlike everything enrolled, even when aligned, are not of the classifier's classes. */
const STRANGERS_MAX = 0.3;

/** Blended evenly: no validator here ranks the methods of one adaptation better than chance does (docs/decisions/0005). */
const MIX: AdaptMix = { centre: 1 / 3, coral: 1 / 3, self_training: 1 / 3 };
/** What has not been taught the target inputs themselves, so that it can be asked whether it knows them. */
const UNTAUGHT: AdaptMix = { centre: 1 / 2, coral: 1 / 2, self_training: 0 };

export type Judged = {
  readonly information: number;
  readonly neighbourhood_density: number;
  /** Left-out accuracy on the examples, each counted as often as the target has its like; null without left-out rows. */
  readonly weighted_left_out_accuracy: number | null;
  /** Share of the target inputs that get the answer of the version before. */
  readonly agreement: number;
  /** On the target inputs that came with a label; null without any. */
  readonly labelled_accuracy: number | null;
};
export type AdaptationEvidence = {
  readonly inputs: number;
  readonly inputs_needed: number;
  readonly labelled: number;
  readonly shift: { readonly distance: number; readonly chance: number };
  /** How many labels the answers of the version before spread over: exp H of their shares. A target of few labels has a mean of its own. */
  readonly labels_answered: number;
  /** Proxy A-distance between examples and target inputs: 0 alike, 2 always told apart. */
  readonly domain_distance: { readonly before: number; readonly after: number };
  /** Share of the target inputs unlike everything enrolled, by the threshold of the version before. */
  readonly strangers: { readonly before: number; readonly after: number } | null;
  readonly before: Judged;
  readonly candidates: readonly (Judged & { readonly method: AdaptMethod; readonly weight: number })[];
  readonly after: Judged;
};
export type RefusalReason = 'too_few_inputs' | 'too_few_labels' | 'no_shift' | 'not_its_classes' | 'worse_on_labels' | 'worse_without_labels';
export type Decision =
  | { readonly adapt: true; readonly mix: AdaptMix; readonly solved: SolvedHead; readonly evidence: AdaptationEvidence }
  | { readonly adapt: false; readonly reason: RefusalReason; readonly detail: string; readonly evidence: AdaptationEvidence | null };

/** Inputs that an adaptation of `classes` classes asks for: two of each on average, within what one call takes. */
export const inputsNeeded = (classes: number): number => Math.min(64, Math.max(INPUTS_MIN, 2 * classes));

/**
 * @param labels of the target inputs, as indices; null where unknown
 * @returns null when this classifier cannot be adapted (see `canAdapt`)
 */
export function decideAdaptation(input: SolveInput, target: readonly Float32Array[], labels: readonly (number | null)[]): Decision | null {
  const classes = new Set(input.examples.flatMap((e) => e.labelsOf)).size;
  const needed = inputsNeeded(classes);
  if (target.length < needed) {
    const detail = `${target.length} target inputs cannot show another domain: send at least ${needed}, of as many labels as possible.`;
    return { adapt: false, reason: 'too_few_inputs', detail, evidence: null };
  }
  const prepared = prepareAdaptation(input, target);
  if (!prepared) return null;
  const fitted = fitMethods(prepared);
  const judge = judgeOf(prepared, labels);
  const alone = fitted.map((one) => ({ method: one.method, ...judge(assemble(prepared, [one], only(one.method), true)) }));
  const mix = MIX;
  const solved = assemble(prepared, fitted, mix);
  const evidence: AdaptationEvidence = {
    inputs: target.length,
    inputs_needed: needed,
    labelled: labels.filter((c) => c !== null).length,
    shift: { distance: prepared.shift.distance, chance: prepared.shift.chance },
    labels_answered: labelsAnswered(prepared),
    domain_distance: domainDistance(prepared),
    strangers: strangers(prepared, assemble(prepared, fitted, UNTAUGHT, true)),
    before: judge(prepared.plain),
    candidates: alone.map((one) => ({ ...one, weight: mix[one.method] })),
    after: judge(solved),
  };
  const refusal = refuse(evidence, classes);
  return refusal ? { adapt: false, ...refusal, evidence } : { adapt: true, mix, solved, evidence };
}

function refuse(e: AdaptationEvidence, classes: number): { reason: RefusalReason; detail: string } | null {
  const [before, after] = [e.before, e.after];
  if (e.shift.chance > CHANCE_MAX)
    return { reason: 'no_shift', detail: `The target inputs lie where examples of the labels they are taken for lie: there is nothing to adapt to.` };
  if (e.labels_answered < LABELS_SHARE_MIN * classes)
    return {
      reason: 'too_few_labels',
      detail: `The target inputs are answered with about ${Math.round(e.labels_answered)} of ${classes} labels. Send inputs in the mix of labels in which they will be met.`,
    };
  if (e.strangers && e.strangers.after > STRANGERS_MAX)
    return {
      reason: 'not_its_classes',
      detail: `${Math.round(100 * e.strangers.after)} % of the target inputs are unlike everything enrolled, even after alignment.`,
    };
  if (before.labelled_accuracy !== null && after.labelled_accuracy !== null && after.labelled_accuracy < before.labelled_accuracy)
    return {
      reason: 'worse_on_labels',
      detail: `Of the labelled target inputs ${percent(before.labelled_accuracy)} were right before and ${percent(after.labelled_accuracy)} would be.`,
    };
  if (after.information < before.information && after.neighbourhood_density < before.neighbourhood_density)
    return {
      reason: 'worse_without_labels',
      detail: 'The answers to the target inputs would be less sure, less different and less dense than before.',
    };
  return null;
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;

function only(method: AdaptMethod): AdaptMix {
  return { centre: 0, coral: 0, self_training: 0, [method]: 1 };
}

function judgeOf({ input, plain, source, target, targetRaw, labelOf }: Prepared, labels: readonly (number | null)[]): (solved: SolvedHead) => Judged {
  const k = input.labels.length;
  const { ratio } = tellDomains(source, target);
  const place = new Map(input.examples.map((e, i) => [e.id, i]));
  const answers = (scores: Float64Array): number[] => targetRaw.map((_, i) => argmax(scores.subarray(i * k, (i + 1) * k)));
  const said = answers(scoresOf(plain.head, targetRaw));
  return ({ head, leftOut }) => {
    const scores = scoresOf(head, targetRaw);
    const p = probabilities(scores, k, head.temperature);
    const now = answers(scores);
    let [total, right] = [0, 0];
    for (const [i, id] of leftOut.ids.entries()) {
      const at = place.get(id)!;
      const weight = ratio.get(at) ?? 0;
      total += weight;
      if (argmax(leftOut.scores.subarray(i * k, (i + 1) * k)) === labelOf[at]) right += weight;
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

/**
 * exp H of the shares of the answers, as they are and with the shift δ taken off, whichever is more: far away everything is answered with the few labels
 * that lie in that direction, and without δ it is not; a target of one label is answered with that one either way.
 */
function labelsAnswered({ input, plain, shift, targetRaw }: Prepared): number {
  const k = input.labels.length;
  const components = plain.head.components.map((c) => ({ ...c, center: c.center.map((v, j) => v + shift.delta[j]!) }));
  const spreads = [plain.head, { ...plain.head, components }].map((head) => {
    const scores = scoresOf(head, targetRaw);
    const shares = new Float64Array(k);
    for (let i = 0; i < targetRaw.length; i++) shares[argmax(scores.subarray(i * k, (i + 1) * k))]! += 1 / targetRaw.length;
    return Math.exp(entropy(shares));
  });
  return Math.max(...spreads);
}

function domainDistance({ source, target, middle, offset }: Prepared): { before: number; after: number } {
  return { before: tellDomains(source, target).distance, after: tellDomains(centred(source, middle), centred(target, offset)).distance };
}

/** Under the rule of the version before: the new one's own threshold has seen the target. */
function strangers({ plain, targetRaw }: Prepared, solved: SolvedHead): { before: number; after: number } | null {
  const rule = plain.head.openSet;
  if (!rule) return null;
  const share = (head: SolvedHead['head']): number => knownnessOf(head, rule, targetRaw).filter((u) => u < rule.threshold).length / targetRaw.length;
  return { before: share(plain.head), after: share(solved.head) };
}
