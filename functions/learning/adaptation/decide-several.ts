/**
 * Whether to adapt a classifier whose inputs have any number of labels. Means and covariances are aligned as for one label an input; that needs no label of
 * any. What needs one is the evidence of decide.ts: a shift is measured from the mean of the class that an input is taken for, and whether the inputs
 * are of the classifier's classes from the margin of the best answer over the second. Several labels have neither, and a target that only shows the labels
 * in other combinations moves the mean as another domain does. So nothing without labels is trusted here: it is told as evidence, and labels of some of
 * the inputs decide, by what they would be answered with. They are taught to no head.
 */
import { signTest } from '../../../shared/statistics.ts';
import { sigmoidOf, yesOf } from '../multi-label.ts';
import type { Embeddings } from '../score-head.ts';
import type { SolveInput } from '../solve-head.ts';
import { domainDistance, inputsNeeded, only, strangers, tooFew, type Decided } from './decide.ts';
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
import { neighbourhoodDensity, separateInformation } from './validators.ts';

type Labels = readonly (readonly number[] | null)[];
export type JudgedSeveral = {
  /** Of each label's yes or no, mean over labels (validators.ts). */
  readonly information: number;
  readonly neighbourhood_density: number;
  /** Share of the decisions, one for each input and label, that are those of the version before. */
  readonly agreement: number;
  /** Share of the labelled inputs whose labels are all said and no other; null without any. */
  readonly labelled_accuracy: number | null;
  /** Share of the decisions about labelled inputs that are right; null without any. */
  readonly labelled_decisions: number | null;
};
export type SeveralEvidence = {
  readonly inputs: number;
  readonly inputs_needed: number;
  readonly labelled: number;
  /** Of the labelled inputs: how many get fewer wrong decisions and how many more, and how often chance does at least as well (sign test). */
  readonly labels: { readonly won: number; readonly lost: number; readonly chance: number } | null;
  readonly domain_distance: { readonly before: number; readonly after: number };
  readonly strangers: { readonly before: number; readonly after: number } | null;
  readonly before: JudgedSeveral;
  readonly candidates: readonly (JudgedSeveral & { readonly method: AdaptMethod; readonly weight: number })[];
  readonly after: JudgedSeveral;
};
export type SeveralRefusal = 'too_few_inputs' | 'labels_needed' | 'worse_on_labels' | 'unproven_on_labels';

const MIX: AdaptMix = { centre: 1 / 2, coral: 1 / 2, self_training: 0 };
/** As for one label an input. Five inputs that gain, and none that loses, are the least that can say so. */
const CHANCE_MAX = 0.05;
const GAINS_MIN = 5;

/**
 * @param labels of the target inputs, all of each, as indices; null where unknown
 * @returns null when this classifier cannot be adapted (see `canAdapt`)
 */
export function decideSeveral(input: SolveInput, target: readonly Embeddings[], labels: Labels): Decided<SeveralEvidence, SeveralRefusal> | null {
  const needed = inputsNeeded(new Set(input.examples.flatMap((e) => e.labelsOf)).size);
  const few = tooFew(target.length, needed);
  if (few) return few;
  const prepared = prepareAdaptation(input, target);
  if (!prepared) return null;
  const fitted = fitMethods(prepared);
  const solved = assemble(prepared, fitted, MIX);
  const [before, after] = [answersOf(prepared, prepared.plain), answersOf(prepared, solved)];
  const judge = judgeOf(prepared, labels, before);
  const alone = fitted.map((one) => ({
    method: one.method,
    weight: MIX[one.method],
    ...judge(assemble(prepared, [one], only(one.method), true)),
  }));
  const evidence: SeveralEvidence = {
    inputs: target.length,
    inputs_needed: needed,
    labelled: labels.filter((own) => own !== null).length,
    labels: comparison(before, after, labels),
    domain_distance: domainDistance(prepared),
    strangers: strangers(prepared, solved),
    before: judge(prepared.plain, before),
    candidates: alone,
    after: judge(solved, after),
  };
  const refusal = refusalOf(evidence);
  return refusal ? { adapt: false, ...refusal, evidence } : { adapt: true, mix: MIX, solved, evidence };
}

function refusalOf({ labelled, labels }: Pick<SeveralEvidence, 'labelled' | 'labels'>): { reason: SeveralRefusal; detail: string } | null {
  if (!labels) {
    const detail = `Where inputs have several labels, nothing without labels tells another domain from other combinations of them. Send \`labels\`, all of each, with some of the inputs: at least ${GAINS_MIN} must gain.`;
    return { reason: 'labels_needed', detail };
  }
  const { won, lost, chance } = labels;
  if (lost > won)
    return { reason: 'worse_on_labels', detail: `Of the ${labelled} labelled target inputs ${lost} would get more wrong answers and ${won} fewer.` };
  if (chance <= CHANCE_MAX) return null;
  const percent = Math.round(100 * chance);
  const detail = `Of the ${labelled} labelled target inputs ${won} would get fewer wrong answers and ${lost} more, which chance does in ${percent} % of cases. Send labels with more of them.`;
  return { reason: 'unproven_on_labels', detail };
}

/**
 * The labels that each input would be answered with: none where it would be `unknown`, by the rule of the version before, because the new one's
 * threshold has seen these inputs.
 */
function answersOf({ plain, moved, targets }: Prepared, { head }: SolvedHead): number[][] {
  const k = head.labels.length;
  const scores = scoresOf(head, targets);
  const rule = plain.head.openSet;
  const known = rule && knownnessOf(head, head === plain.head ? rule : { ...rule, varianceWeight: moved.weight }, targets);
  const unknown = (i: number): boolean => known !== null && known[i]! < rule!.threshold;
  return targets.map((_, i) => (unknown(i) ? [] : yesOf(scores.subarray(i * k, (i + 1) * k))));
}

/** Labels that are said and not there, and that are there and not said. */
function wrong(said: readonly number[], own: readonly number[]): number {
  return said.filter((c) => !own.includes(c)).length + [...new Set(own)].filter((c) => !said.includes(c)).length;
}

/** @param before answers of the version before; the judge takes those of the head where they are known */
function judgeOf(prepared: Prepared, labels: Labels, before: readonly number[][]): (solved: SolvedHead, said?: number[][]) => JudgedSeveral {
  const { input, targets } = prepared;
  const k = input.labels.length;
  return (solved, said = answersOf(prepared, solved)) => {
    const p = scoresOf(solved.head, targets).map((s) => sigmoidOf(s, solved.head.temperature));
    const changed = said.reduce((sum, now, i) => sum + wrong(now, before[i]!), 0);
    const missed = labels.flatMap((own, i) => (own ? [wrong(said[i]!, own)] : []));
    return {
      information: separateInformation(p, k),
      neighbourhood_density: neighbourhoodDensity(p, k),
      agreement: 1 - changed / (targets.length * k),
      labelled_accuracy: missed.length > 0 ? missed.filter((n) => n === 0).length / missed.length : null,
      labelled_decisions: missed.length > 0 ? 1 - missed.reduce((a, b) => a + b, 0) / (missed.length * k) : null,
    };
  };
}

/** Input by input, because the decisions about one input depend on each other. */
function comparison(before: readonly number[][], after: readonly number[][], labels: Labels): SeveralEvidence['labels'] {
  if (labels.every((own) => own === null)) return null;
  const changes = labels.flatMap((own, i) => (own ? [wrong(after[i]!, own) - wrong(before[i]!, own)] : []));
  const [won, lost] = [changes.filter((n) => n < 0).length, changes.filter((n) => n > 0).length];
  return { won, lost, chance: signTest(won, lost) };
}
