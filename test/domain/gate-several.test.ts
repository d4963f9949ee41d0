/** The gate where a row may have several labels: exact matches decide, labels and their F1 are looked after, and words say so. */
import { describe, expect, it } from 'vitest';
import type { SeveralHeldOut } from '../../shared/engine.ts';
import { Evaluation, Reason } from '../../shared/wire/evaluation.ts';
import { seededRandom, type Random } from '../../shared/statistics.ts';
import { decideGate, type GateInput } from '../../functions/domain/gate.ts';
import { heldOutFault } from '../../functions/domain/held-out-check.ts';
import { compareSeveral, macroMetrics } from '../../functions/domain/paired-labels.ts';

const LABELS = ['red', 'round', 'soft', 'tall'];
type Answers = SeveralHeldOut['candidate'];

/** Every label of a row is said rightly with this probability, one by one. */
function answersOf(truth: readonly (readonly number[])[], rate: number, random: Random, sure = rate): Answers {
  const prediction = truth.map((own) => LABELS.flatMap((_, c) => (own.includes(c) === random() < rate ? [c] : [])));
  return { prediction, probability: prediction.map((said) => said.map(() => sure)) };
}

function simulate(rows: number, rates: { candidate: number; incumbent: number | null; frozen?: number }, random: Random): SeveralHeldOut {
  const truth = Array.from({ length: rows }, () => LABELS.flatMap((_, c) => (random() < 0.5 / (c + 1) ? [c] : [])));
  return {
    task: 'multi_label',
    split: 'test',
    labels: LABELS,
    rows: truth.map((_, i) => i),
    truth,
    candidate: answersOf(truth, rates.candidate, random),
    incumbent: rates.incumbent === null ? null : answersOf(truth, rates.incumbent, random),
    frozen: answersOf(truth, rates.frozen ?? rates.candidate, random),
    baseline: { prediction: truth.map(() => [0]), probability: truth.map(() => [0.5]) },
    zero_shot: null,
    scratch: null,
    source_only: null,
  };
}

const inputOf = (heldOut: SeveralHeldOut, more: Partial<GateInput> = {}): GateInput => ({
  heldOut,
  promote: 'if_better',
  classifier: 'cls_1',
  incumbentLabels: heldOut.incumbent ? LABELS : null,
  candidateLabels: LABELS,
  fitsEdge: true,
  networks: { candidate: 'tail', incumbent: heldOut.incumbent ? 'base' : null },
  seed: 7,
  ...more,
});
const codes = (outcome: { reasons: readonly Reason[] }) => outcome.reasons.map((reason) => reason.code);

describe('several labels a row', () => {
  it('promotes by exact matches, and says so', () => {
    const heldOut = simulate(300, { candidate: 0.97, incumbent: 0.85 }, seededRandom(1));
    const outcome = decideGate(inputOf(heldOut));
    expect(outcome.decision).toBe('promoted');
    const better = outcome.reasons.find((r) => r.code === 'better_than_incumbent')!;
    expect(better.detail).toMatch(/points more exact matches on 300 rows/);
    const { candidate, comparisons } = Evaluation.parse(outcome.evaluation);
    const exact = heldOut.truth.filter((own, i) => own.join() === heldOut.candidate.prediction[i]!.join()).length / 300;
    expect(candidate.accuracy.value).toBeCloseTo(exact, 12);
    expect(candidate.macro_f1!.interval.low).toBeLessThan(candidate.macro_f1!.value);
    expect(comparisons.find((c) => c.against === 'incumbent')!.macro_f1_difference).toBeGreaterThan(0.05);
    outcome.reasons.forEach((reason) => Reason.parse(reason));
  });

  it('measures against the most frequent set of labels when nothing is served', () => {
    const outcome = decideGate(inputOf(simulate(200, { candidate: 0.95, incumbent: null }, seededRandom(2))));
    expect(outcome.decision).toBe('promoted');
    expect(outcome.reasons.find((r) => r.code === 'nothing_served')!.detail).toContain('most frequent set of labels');
    expect(codes(outcome)).toContain('better_than_baseline');
    // It says "red" of every row, and so misses none of its rows.
    const shy = simulate(300, { candidate: 0.85, incumbent: null }, seededRandom(12));
    expect(decideGate(inputOf(shy)).decision).toBe('promoted');
  });

  it('refuses noise, and a candidate that is worse than the frozen head', () => {
    let promoted = 0;
    for (let run = 0; run < 10; run++)
      promoted +=
        decideGate(inputOf(simulate(60, { candidate: 0.9, incumbent: 0.9 }, seededRandom(50 + run)), { seed: run })).decision === 'promoted' ? 1 : 0;
    expect(promoted).toBeLessThanOrEqual(2);
    const hurt = decideGate(inputOf(simulate(300, { candidate: 0.8, incumbent: null, frozen: 0.97 }, seededRandom(3))));
    expect(hurt.decision).toBe('refused');
    expect(hurt.reasons.find((r) => r.code === 'worse_than_frozen')!.detail).toContain('fewer exact matches');
  });

  it('refuses a candidate that no longer finds a label, however many exact matches it wins', () => {
    const heldOut = simulate(500, { candidate: 0.99, incumbent: 0.8 }, seededRandom(4));
    const without = (answers: Answers): Answers => ({
      prediction: answers.prediction.map((said) => said.filter((c) => c !== 3)),
      probability: answers.prediction.map((said, i) => answers.probability[i]!.filter((_, at) => said[at] !== 3)),
    });
    const outcome = decideGate(inputOf({ ...heldOut, candidate: without(heldOut.candidate) }));
    expect(codes(outcome)).toContain('better_than_incumbent');
    const lost = outcome.reasons.find((r) => r.code === 'worse_on_class')!;
    expect(lost.evidence['label']).toBe('tall');
    expect(lost.evidence['rows']).toBe(heldOut.truth.filter((own) => own.includes(3)).length);
    expect(outcome.decision).toBe('refused');
  });

  it('refuses a candidate whose F1 falls because it says a label everywhere', () => {
    const heldOut = simulate(400, { candidate: 0.93, incumbent: 0.93 }, seededRandom(5));
    const loud = heldOut.candidate.prediction.map((said) => [...said.filter((c) => c !== 3), 3]);
    const outcome = decideGate(inputOf({ ...heldOut, candidate: { prediction: loud, probability: loud.map((said) => said.map(() => 0.93)) } }));
    const fallen = outcome.reasons.find((r) => r.code === 'worse_macro_f1')!;
    expect(fallen.detail).toMatch(/F1 score of the candidate is .* points less than that of the version being served/);
  });

  it('compares by the labels that the incumbent knows where it lacks some', () => {
    const heldOut = simulate(300, { candidate: 0.95, incumbent: 0.95 }, seededRandom(6));
    const known = heldOut.incumbent!.prediction.map((said) => said.filter((c) => c < 2));
    const incumbent = { prediction: known, probability: known.map((said) => said.map(() => 0.95)) };
    const outcome = decideGate(inputOf({ ...heldOut, incumbent }, { incumbentLabels: ['red', 'round'] }));
    const shared = outcome.evaluation.comparisons.find((c) => c.on === 'shared_labels')!;
    expect(shared.rows).toBe(300);
    expect(Math.abs(shared.difference)).toBeLessThan(0.06);
    expect(outcome.evaluation.comparisons[0]!.difference).toBeGreaterThan(0.15);
    expect(codes(outcome)).toContain('new_labels');
  });

  it('refuses probabilities that are clearly less true', () => {
    const heldOut = simulate(400, { candidate: 0.97, incumbent: 0.85 }, seededRandom(8));
    const shy = heldOut.candidate.prediction.map((said) => said.map(() => 0.55));
    const outcome = decideGate(inputOf({ ...heldOut, candidate: { ...heldOut.candidate, probability: shy } }));
    expect(codes(outcome)).toContain('worse_calibration');
    expect(outcome.evaluation.candidate.calibration_error).toBeGreaterThan(0.3);
  });
});

describe('figures of labels', () => {
  const of = { truth: [[0, 1], [0], [1], []], labels: 3 };
  const said = [[0], [0, 1], [1], [-1]];

  it('are means over the labels that rows have', () => {
    const { macro_f1, macro_recall } = macroMetrics(of, said, 1);
    // Label 0: 2 had, 2 said, both 2; label 1: 2 had, 2 said, both 1. No row has label 2.
    expect(macro_f1.value).toBeCloseTo((1 + 0.5) / 2, 12);
    expect(macro_recall.value).toBeCloseTo((1 + 0.5) / 2, 12);
    const everything = macroMetrics(of, [[0, 1, 2], [0, 1], [0, 1], [0]], 1);
    expect(everything.macro_recall.value).toBe(1);
    expect(everything.macro_f1.value).toBeCloseTo((4 / 6 + 4 / 5) / 2, 12);
  });

  it('are compared row by row', () => {
    const p = compareSeveral(of, said, [[0, 1], [1], [1], []], 3);
    // Exact: the first has row 2 alone, the second rows 0, 2 and 3.
    expect([p.rows, p.wins, p.losses, p.difference]).toEqual([4, 0, 2, -0.5]);
    expect([...p.classes]).toEqual([
      [0, { rows: 2, wins: 1, losses: 0 }],
      [1, { rows: 2, wins: 0, losses: 1 }],
    ]);
    expect(p.macroF1.difference).toBeCloseTo(0.75 - (2 / 3 + 4 / 5) / 2, 12);
  });
});

describe('answers that cannot be judged', () => {
  const heldOut = simulate(6, { candidate: 0.9, incumbent: 0.9 }, seededRandom(9));
  const answers = (prediction: number[][]): Answers => ({ prediction, probability: prediction.map((own) => own.map(() => 0.7)) });
  const six = (own: number[]): number[][] => Array.from({ length: 6 }, () => own);

  it.each([
    ['an index outside −1…3', { candidate: answers(six([4])) }],
    ['a label twice', { candidate: answers(six([1, 1])) }],
    ['without a probability', { candidate: { prediction: six([1]), probability: six([]) } }],
    ['not between 0 and 1', { candidate: { prediction: six([1]), probability: six([1.2]) } }],
    ['5 predictions', { frozen: answers(six([1]).slice(1)) }],
    ['an index outside 0…3', { truth: six([-1]) }],
  ] as [string, Partial<SeveralHeldOut>][])('%s', (words, change) => {
    expect(heldOutFault(heldOut)).toBeNull();
    expect(heldOutFault({ ...heldOut, ...change })).toContain(words);
  });
});
