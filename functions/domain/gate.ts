/**
 * The gate: is the candidate better than what is served, on rows that neither has learnt from? It only decides; it never activates.
 * Rule: promote only when the candidate beats what is served by sound evidence (at least 95 % of paired resamples strictly better *and* an exact
 * sign test at 5 %), loses no label, and is not credibly worse on any class, in macro recall or F1, or on the labels that the incumbent knows.
 * Without an incumbent it must beat the majority baseline and not be credibly worse than the frozen head. Equal within noise is a refusal, except
 * for a candidate that needs no network of its own where the served version does: that one is promoted when it is proven not to lose a point.
 * Of several labels a row the share of exact matches is what accuracy is of one, and the mean over labels is that of F1 alone.
 * Whoever adapts to a target must not be credibly worse than without (negative transfer), and nobody may be clearly worse calibrated.
 */
import type { EngineResult } from '../../shared/engine.ts';
import type { Comparison, Contender, Decision, Evaluation, Reason } from '../../shared/wire/evaluation.ts';
import { calibrationLoss, CONFIDENCE, EQUAL_WITHIN, isBetter, isEqualWithin, isWorse, lowerLimit } from './gate-evidence.ts';
import { contestOf, type Contest } from './gate-contest.ts';
import { toComparison } from './gate-metrics.ts';
import { weighReferences } from './gate-references.ts';
import { factsOf, list, moreRows, points, sentence } from './gate-words.ts';
import type { PairedComparison, PairedRows } from './paired-bootstrap.ts';
import { signTest, Z_ONE_SIDED_95, Z_POWER_80 } from '../../shared/statistics.ts';

/** Below this many held-out rows the answer says that they are few. */
export const SMALL_HELD_OUT_ROWS = 100;

export type GateInput = {
  readonly heldOut: EngineResult['held_out'];
  /** `if_better` asks for a promotion. */
  readonly promote: 'if_better' | 'never';
  /** Null when the job names no classifier. */
  readonly classifier: string | null;
  /** Labels of the head being served; null when nothing is served. */
  readonly incumbentLabels: readonly string[] | null;
  /** Labels that the candidate can answer. */
  readonly candidateLabels: readonly string[];
  /** False: no isolate could hold it, however good it is. */
  readonly fitsEdge: boolean;
  /** What each needs beside the shared backbone: nothing, a tail, or a whole network. `incumbent` is null when nothing is served. */
  readonly networks: { readonly candidate: Network; readonly incumbent: Network | null };
  readonly seed: number;
};
export type Network = EngineResult['network'];
export type GateOutcome = { readonly decision: Decision; readonly reasons: Reason[]; readonly evaluation: Evaluation };

/** Measured only where the method asks for them. */
const OPTIONAL = ['zero_shot', 'scratch', 'source_only'] as const;

export function decideGate(input: GateInput): GateOutcome {
  const { heldOut, seed } = input;
  const contest = contestOf(heldOut);
  // Whoever serves nothing that can be compared with is not compared with.
  const served = contest.has('incumbent') && input.incumbentLabels !== null;

  const against: { who: Contender; on: Comparison['on']; paired: PairedComparison }[] = [];
  const compare = (who: Contender, offset: number, on: Comparison['on'] = 'all_rows', of = contest) =>
    against.push({ who, on, paired: of.against(who, seed + offset) });
  if (served) {
    compare('incumbent', 0);
    const within = contest.within(new Set(input.incumbentLabels));
    if (within) compare('incumbent', 1, 'shared_labels', within);
  }
  compare('frozen', 2);
  compare('baseline', 3);
  for (const [k, who] of OPTIONAL.entries()) if (contest.has(who)) compare(who, 4 + k);

  const perhaps = (who: Contender) => (contest.has(who) ? contest.measure(who, seed) : null);
  const evaluation: Evaluation = {
    held_out: { split: heldOut.split, rows: contest.rows, labels: [...heldOut.labels] },
    candidate: contest.measure('candidate', seed),
    incumbent: served ? contest.measure('incumbent', seed) : null,
    frozen: contest.measure('frozen', seed),
    baseline: contest.measure('baseline', seed),
    zero_shot: perhaps('zero_shot'),
    scratch: perhaps('scratch'),
    source_only: perhaps('source_only'),
    comparisons: against.map(({ who, on, paired }) => toComparison(who, on, paired)),
  };
  const paired = (who: Contender, on: Comparison['on'] = 'all_rows') => against.find((a) => a.who === who && a.on === on)?.paired ?? null;
  const reasons = weigh(input, contest, paired);
  const loss = served ? calibrationLoss(contest.judged('candidate'), contest.judged('incumbent'), seed + 7) : null;
  if (loss) {
    const detail = `The candidate's probabilities are clearly less true: calibration error ${loss.candidate.toFixed(3)} against ${loss.incumbent.toFixed(3)}.`;
    reasons.push({ code: 'worse_calibration', blocks: true, detail, evidence: { ...loss } });
  }
  const asked = input.classifier !== null && input.promote === 'if_better';
  const decision: Decision = !asked ? 'not_requested' : reasons.some((reason) => reason.blocks) ? 'refused' : 'promoted';
  return { decision, reasons, evaluation };
}

type Look = (who: Contender, on?: Comparison['on']) => PairedComparison | null;

function weigh(input: GateInput, { rows, words }: Contest, look: Look): Reason[] {
  const reasons: Reason[] = [];
  const say = (code: Reason['code'], blocks: boolean, detail: string, evidence: Record<string, unknown> = {}) =>
    reasons.push({ code, blocks, detail, evidence });

  if (input.classifier === null) say('no_classifier', true, 'The job names no classifier, so there is nothing to promote into.');
  else if (input.promote === 'never') say('promotion_not_requested', true, 'The job was created with promote "never".');
  if (!input.fitsEdge) say('too_large_for_edge', true, 'The network is larger than what can be served at the edge; train fewer blocks of it.');
  if (rows === 0) {
    say('no_held_out_rows', true, 'The dataset has no held-out rows, so nothing shows whether the candidate is better.');
    return reasons;
  }
  const incumbent = look('incumbent');
  const served = incumbent ?? look('baseline')!;
  const name = incumbent ? 'the version being served' : words.baseline;
  const facts = factsOf(served);
  const alone = input.classifier === null ? 'No version is served beside it' : 'The classifier serves no head yet';
  if (!incumbent) say('nothing_served', false, `${alone}, so the candidate is measured against ${words.frequent}.`);

  if (isBetter(served)) {
    const code = incumbent ? 'better_than_incumbent' : 'better_than_baseline';
    say(code, false, `The candidate is better than ${name}: ${sentence(served, words)}.`, facts);
  } else if (incumbent && isWorse(incumbent)) {
    say('worse_than_incumbent', true, `The candidate is worse than ${name}: ${sentence(served, words)}.`, facts);
  } else if (incumbent && isCheaper(input.networks) && isEqualWithin(incumbent)) {
    const detail = `The candidate is not worse by ${EQUAL_WITHIN * 100} point or more than ${name}, and needs ${NEEDS[input.networks.candidate]} where that one needs ${NEEDS[input.networks.incumbent ?? 'base']}: ${sentence(incumbent, words)}.`;
    say('equal_and_cheaper', false, detail, { ...facts, lower_limit: lowerLimit(incumbent), networks: input.networks });
  } else {
    const needed = rowsNeeded(served);
    const more = needed === null ? null : Math.max(0, needed - rows);
    const hope = needed === null ? ' The measured difference is not in its favour, so more held-out rows are not expected to help.' : moreRows(more!);
    say('not_proven_better', true, `The candidate is not proven better than ${name}: ${sentence(served, words)}.${hope}`, {
      ...facts,
      rows_needed: needed,
      more_rows_needed: more,
    });
  }
  if (rows < SMALL_HELD_OUT_ROWS)
    say('small_held_out', false, `Only ${rows} rows were held out; differences of a few points cannot be seen with so few.`, { rows });

  const forgotten = (input.incumbentLabels ?? []).filter((label) => !input.candidateLabels.includes(label));
  if (forgotten.length > 0) {
    const detail = `The candidate does not know ${list(forgotten)}, which the version being served answers; the dataset has no example of it.`;
    say('forgets_labels', true, detail, { labels: forgotten });
  }
  const known = input.incumbentLabels;
  const fresh = known ? input.heldOut.labels.filter((label) => !known.includes(label)) : [];
  const shared = look('incumbent', 'shared_labels');
  if (fresh.length > 0 && shared) {
    const on =
      shared.rows === 0
        ? 'no held-out row has a label that both know'
        : `on the ${shared.rows} rows of labels that both know, ${sentence(shared, words)}`;
    say('new_labels', false, `The version being served does not know ${list(fresh)}; ${on}.`, { labels: fresh, shared_labels: factsOf(shared) });
    if (isWorse(shared))
      say('worse_on_shared_labels', true, `On labels that both know the candidate is worse: ${sentence(shared, words)}.`, factsOf(shared));
  }
  // Whoever always answers the same finds all rows of that class: nothing to be held to.
  for (const [label, of] of incumbent ? significantLosses(incumbent) : []) {
    const named = input.heldOut.labels[label] ?? String(label);
    const detail = `On "${named}" the candidate is worse than ${name}: it loses ${of.losses} and wins ${of.wins} of ${of.rows} rows.`;
    say('worse_on_class', true, detail, { label: named, ...of });
  }
  for (const { of, code, detail } of words.macros)
    if (served[of].probabilityWorse >= CONFIDENCE) say(code, true, detail(points(served[of].difference), name), served[of]);
  const fromScratch = input.heldOut.scratch !== null && JSON.stringify(input.heldOut.scratch) === JSON.stringify(input.heldOut.candidate);
  reasons.push(...weighReferences(look, { served: incumbent !== null, fromScratch }, words));
  return reasons;
}

const COST: Readonly<Record<Network, number>> = { base: 0, tail: 1, whole: 2 };
const NEEDS: Readonly<Record<Network, string>> = { base: 'no network of its own', tail: 'a tail of its own', whole: 'a whole network of its own' };

function isCheaper(networks: GateInput['networks']): boolean {
  return networks.incumbent !== null && COST[networks.candidate] < COST[networks.incumbent];
}

/** Classes with a loss that is significant after Bonferroni's correction for the number of classes. */
function significantLosses(p: PairedComparison): [number, { rows: number; wins: number; losses: number }][] {
  const level = (1 - CONFIDENCE) / Math.max(1, p.classes.size);
  return [...p.classes].filter(([, of]) => of.losses > of.wins && signTest(of.losses, of.wins) <= level);
}

/**
 * Held-out rows at which the observed difference would be proven with 80 % power (paired proportions, Connor 1987):
 * n = (z₀.₉₅ + z₀.₈)² · (d − δ²) / δ² with δ the difference and d the share of rows on which the two disagree. Null when δ ≤ 0.
 */
export function rowsNeeded(p: PairedRows): number | null {
  if (p.difference <= 0 || p.rows === 0) return null;
  const disagree = (p.wins + p.losses) / p.rows;
  return Math.ceil(((Z_ONE_SIDED_95 + Z_POWER_80) ** 2 * (disagree - p.difference ** 2)) / p.difference ** 2);
}
