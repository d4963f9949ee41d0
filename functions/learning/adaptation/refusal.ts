/**
 * When an adaptation is refused. Labels of target inputs, where somebody gave enough of them, decide alone: they were not taught to any head. Without them
 * there must be a shift, of the classifier's own classes, in a mix of them, and answers that become clearer by it.
 */
import type { AdaptMethod } from './solve-adapted.ts';
import type { Belonging } from './belonging.ts';

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
  /** Of the labelled inputs: how many become right and how many wrong, and how often chance makes at least as many of these right (sign test). */
  readonly labels: { readonly won: number; readonly lost: number; readonly chance: number } | null;
  readonly shift: { readonly distance: number; readonly chance: number };
  /** How many labels a ridge spreads its answers over: exp H of their shares. A target of few labels has a mean of its own. */
  readonly labels_answered: number;
  /** Proxy A-distance between examples and target inputs: 0 alike, 2 always told apart. */
  readonly domain_distance: { readonly before: number; readonly after: number };
  /** Share of the target inputs unlike everything enrolled, by the threshold of the version before. */
  readonly strangers: { readonly before: number; readonly after: number } | null;
  readonly belonging: Belonging;
  readonly before: Judged;
  readonly candidates: readonly (Judged & { readonly method: AdaptMethod; readonly weight: number })[];
  readonly after: Judged;
};
export type RefusalReason = 'too_few_inputs' | 'too_few_labels' | 'no_shift' | 'not_its_classes' | 'worse_on_labels' | 'worse_without_labels';
export type Refusal = { readonly reason: RefusalReason; readonly detail: string };

/** Labels decide when chance brings what they say less often than this. */
const LABELS_CHANCE_MAX = 0.05;
/** A shift that chance brings more often is none. */
const CHANCE_MAX = 0.01;
/** Below this part of the labels the mean of the target says more about which labels it shows than about how they look there. */
const LABELS_SHARE_MIN = 0.5;
/** More target inputs than this that are unlike everything enrolled, even when aligned, are not of the classifier's classes. */
const STRANGERS_MAX = 0.75;
/** Who adapts means well: other classes must be twice as likely. */
const BELONGING_MIN = -Math.LN2;
/** Answers that become less clear by more than this, and lie less dense, are worse; clearer ones say nothing, other classes bring them too. */
const INFORMATION_LOSS_MAX = 0.1;

/** Null: adapt. @param classes that have an example */
export function refusalOf(e: AdaptationEvidence, classes: number): Refusal | null {
  if (e.labels) {
    const { won, lost, chance } = e.labels;
    if (lost > won)
      return { reason: 'worse_on_labels', detail: `Of the labelled target inputs ${lost} would become wrong and ${won} right (of ${e.labelled}).` };
    if (chance <= LABELS_CHANCE_MAX) return null;
  }
  return withoutLabels(e, classes);
}

function withoutLabels(e: AdaptationEvidence, classes: number): Refusal | null {
  const { before, after } = e;
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
  if (e.belonging.log_odds < BELONGING_MIN)
    return {
      reason: 'not_its_classes',
      detail: 'Even after alignment the target inputs lie between the labels, as inputs of other classes do. Labels on some of them would decide.',
    };
  const gain = after.information - before.information;
  if (gain < -INFORMATION_LOSS_MAX && after.neighbourhood_density < before.neighbourhood_density)
    return {
      reason: 'worse_without_labels',
      detail: 'The answers to the target inputs would be less sure, less different and less dense than before.',
    };
  return null;
}
