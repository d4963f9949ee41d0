/** What else the gate weighs: adaptation that hurts, transfer that does not pay, calibration, and a cheaper network that is as good. */
import { describe, expect, it } from 'vitest';
import { decideGate, type GateInput } from '../../functions/domain/gate.ts';
import { calibrationLoss, isEqualWithin, lowerLimit } from '../../functions/domain/gate-evidence.ts';
import { heldOutFault } from '../../functions/domain/held-out-check.ts';
import { comparePaired } from '../../functions/domain/paired-bootstrap.ts';
import { seededRandom, type Random } from '../../shared/statistics.ts';
import type { HeldOut } from '../../shared/engine.ts';
import { Evaluation, Reason } from '../../shared/wire/evaluation.ts';

const LABELS = 5;
type Answers = HeldOut['candidate'];
/** Right in this share of rows, independently, and as sure as `confidence` says. */
const answers = (truth: readonly number[], rate: number, random: Random, confidence = rate): Answers => ({
  prediction: truth.map((label) => (random() < rate ? label : (label + 1) % LABELS)),
  confidence: truth.map(() => confidence),
});
/** The same answers, but of the right ones `lost` become wrong and of the wrong ones `won` become right. */
const changed = (truth: readonly number[], of: Answers, rates: { lost: number; won: number }, random: Random): Answers => ({
  ...of,
  prediction: of.prediction.map((p, i) => {
    const label = truth[i]!;
    if (p === label) return random() < rates.lost ? (label + 1) % LABELS : p;
    return random() < rates.won ? label : p;
  }),
});

function heldOut(rows: number, candidate: number, incumbent: number | null, random: Random, more: Partial<HeldOut> = {}): HeldOut {
  const truth = Array.from({ length: rows }, (_, i) => i % LABELS);
  return {
    split: 'test',
    labels: Array.from({ length: LABELS }, (_, k) => `class ${k}`),
    rows: truth.map((_, i) => i),
    truth,
    candidate: answers(truth, candidate, random),
    incumbent: incumbent === null ? null : answers(truth, incumbent, random),
    frozen: answers(truth, candidate, random),
    baseline: answers(truth, 1 / LABELS, random),
    zero_shot: null,
    scratch: null,
    source_only: null,
    ...more,
  };
}
const decide = (of: HeldOut, more: Partial<GateInput> = {}) =>
  decideGate({
    heldOut: of,
    promote: 'if_better',
    classifier: 'cls_1',
    incumbentLabels: of.incumbent ? of.labels : null,
    candidateLabels: of.labels,
    fitsEdge: true,
    networks: { candidate: 'tail', incumbent: of.incumbent ? 'tail' : null },
    seed: 3,
    ...more,
  });
const reason = (outcome: ReturnType<typeof decide>, code: Reason['code']) => outcome.reasons.find((r) => r.code === code);

describe('references', () => {
  const base = heldOut(400, 0.85, 0.6, seededRandom(1));
  const rate = (share: number) => answers(base.truth, share, seededRandom(share * 100));

  it('are measured and published where there are answers of them', () => {
    const outcome = decide({ ...base, zero_shot: rate(0.3), scratch: rate(0.5), source_only: rate(0.7) });
    const { evaluation } = outcome;
    Evaluation.parse(evaluation);
    outcome.reasons.forEach((r) => Reason.parse(r));
    expect(evaluation.comparisons.map((c) => c.against)).toEqual(['incumbent', 'frozen', 'baseline', 'zero_shot', 'scratch', 'source_only']);
    expect(evaluation.scratch?.accuracy.value).toBeCloseTo(0.5, 1);
    expect(decide(base).evaluation).toMatchObject({ zero_shot: null, scratch: null, source_only: null });
  });
  it('refuse an adaptation that hurts, though it beats what is served', () => {
    const outcome = decide({ ...base, source_only: rate(0.97) });
    expect(reason(outcome, 'better_than_incumbent')).toBeDefined();
    expect(reason(outcome, 'worse_than_source_only')).toMatchObject({ blocks: true });
    expect(outcome.decision).toBe('refused');
  });
  it('promote an adaptation that is no better than none, and say so', () => {
    const outcome = decide({ ...base, source_only: changed(base.truth, base.candidate, { lost: 0.01, won: 0.05 }, seededRandom(2)) });
    expect(reason(outcome, 'not_better_than_source_only')).toMatchObject({ blocks: false });
    expect(outcome.decision).toBe('promoted');
    expect(reason(decide({ ...base, source_only: rate(0.5) }), 'better_than_source_only')).toBeDefined();
  });
  it('say when random weights or names alone do as well', () => {
    const tie = decide({ ...base, scratch: base.candidate, zero_shot: rate(0.98) });
    expect(reason(tie, 'scratch_is_as_good')).toMatchObject({ blocks: false });
    expect(reason(tie, 'worse_than_zero_shot')).toMatchObject({ blocks: false });
    expect(tie.decision).toBe('promoted');
    expect(reason(decide({ ...base, scratch: rate(0.5) }), 'better_than_scratch')).toBeDefined();
    const first = decide({ ...base, incumbent: null, zero_shot: rate(0.98) });
    expect(reason(first, 'worse_than_zero_shot')).toMatchObject({ blocks: true });
    expect(first.decision).toBe('refused');
  });
  it('do not say that transfer brings nothing because a network from random weights does as well as itself', () => {
    const scratch = rate(0.6);
    const poor = decide({ ...base, candidate: scratch, scratch: structuredClone(scratch), incumbent: null, frozen: rate(0.9) });
    expect(reason(poor, 'worse_than_frozen')).toBeDefined();
    expect(reason(poor, 'scratch_is_as_good')).toBeUndefined();
    const good = reason(decide({ ...base, candidate: scratch, scratch, incumbent: null, frozen: rate(0.3) }), 'scratch_is_as_good')!;
    expect(good.detail).toContain('a head on the pretrained one');
    expect(good.evidence['difference']).toBeGreaterThan(0.1);
  });
  it('say nothing of tuning where a probe is compared with the head that it is', () => {
    const detailOf = (frozen: Answers) => reason(decide({ ...base, frozen }), 'not_better_than_frozen')?.detail;
    expect(detailOf(base.candidate)).toMatch(/right on the same rows as a head on the frozen backbone/);
    expect(detailOf(changed(base.truth, base.candidate, { lost: 0.01, won: 0.05 }, seededRandom(4)))).toMatch(/^Tuning is not proven/);
  });
  it('are judged only when their answers fit the rows', () => {
    expect(heldOutFault({ ...base, scratch: rate(0.5) })).toBeNull();
    expect(heldOutFault({ ...base, scratch: { prediction: [1], confidence: [1] } })).toContain('held_out.scratch');
    expect(heldOutFault({ ...base, source_only: { ...base.candidate, prediction: base.truth.map(() => LABELS) } })).toContain('source_only');
  });
});

describe('calibration', () => {
  it('blocks a candidate whose probabilities are clearly less true', () => {
    const of = heldOut(400, 0.85, 0.6, seededRandom(4));
    const unsure = { ...of, candidate: { ...of.candidate, confidence: of.truth.map(() => 0.4) } };
    const outcome = decide(unsure);
    expect(reason(outcome, 'worse_calibration')).toMatchObject({ blocks: true });
    expect(outcome.decision).toBe('refused');
    expect(decide(of).decision).toBe('promoted');
    // As bad as what is served already, or bad only by a little: no reason.
    expect(reason(decide({ ...unsure, incumbent: { ...of.incumbent!, confidence: of.truth.map(() => 0.15) } }), 'worse_calibration')).toBeUndefined();
    expect(reason(decide({ ...of, candidate: { ...of.candidate, confidence: of.truth.map(() => 0.78) } }), 'worse_calibration')).toBeUndefined();
  });
  it('is hardly ever blamed for noise', () => {
    let blamed = 0;
    for (let run = 0; run < 200; run++) {
      const random = seededRandom(run);
      // Both perfectly calibrated, with spread confidences, on few rows: the measure is far from 0 for both.
      const draw = () => {
        const confidence = Array.from({ length: 40 }, () => 0.3 + 0.7 * random());
        return { confidence, correct: confidence.map((c) => random() < c) };
      };
      blamed += calibrationLoss(draw(), draw(), run) ? 1 : 0;
    }
    expect(blamed / 200).toBeLessThanOrEqual(0.1);
  });
});

describe('equal and cheaper', () => {
  const cheaper = { networks: { candidate: 'base', incumbent: 'tail' } } as const;
  const near = (rows: number, rates: { lost: number; won: number }, seed: number): HeldOut => {
    const random = seededRandom(seed);
    const of = heldOut(rows, 0.8, 0.8, random);
    return { ...of, candidate: changed(of.truth, of.incumbent!, rates, random) };
  };
  it('is promoted when it is proven not to lose a point', () => {
    const same = near(1_000, { lost: 0.002, won: 0.01 }, 1);
    const outcome = decide(same, cheaper);
    expect(reason(outcome, 'equal_and_cheaper')).toMatchObject({ blocks: false, evidence: { networks: cheaper.networks } });
    expect(outcome.decision).toBe('promoted');
    for (const networks of [
      { candidate: 'tail', incumbent: 'tail' },
      { candidate: 'whole', incumbent: 'tail' },
    ] as const)
      expect(reason(decide(same, { networks }), 'not_proven_better')).toMatchObject({ blocks: true });
    expect(decide(same, { networks: { candidate: 'tail', incumbent: 'whole' } }).decision).toBe('promoted');
  });
  it('is not believed on few rows, however alike they are', () => {
    const few = near(100, { lost: 0, won: 0 }, 2);
    expect(decide(few, cheaper).decision).toBe('refused');
    const paired = (rows: number) => {
      const all = Array.from({ length: rows }, () => true);
      return comparePaired(
        all.map(() => 0),
        all,
        all,
        1,
        50,
      );
    };
    expect(isEqualWithin(paired(200))).toBe(false);
    expect(isEqualWithin(paired(300))).toBe(true);
    // −z·√(2/(n + 2))/√(n + 2): (0 + 1)/302 each way.
    expect(lowerLimit(paired(300))).toBeCloseTo((-1.644854 * Math.sqrt(2 / 302)) / Math.sqrt(302), 6);
  });
  it('lets a truly worse candidate through in at most one of twenty runs, and an equal one nearly always', () => {
    const promoted = (rates: { lost: number; won: number }, runs: number) => {
      let n = 0;
      for (let run = 0; run < runs; run++) n += decide(near(1_500, rates, 50 + run), { ...cheaper, seed: run }).decision === 'promoted' ? 1 : 0;
      return n / runs;
    };
    // 80 % right: losing 3.75 % of those and winning 5 % of the rest is two points worse; 1.5 % and 1 % is one, the margin itself.
    expect(promoted({ lost: 0.0375, won: 0.05 }, 40)).toBeLessThanOrEqual(0.02);
    expect(promoted({ lost: 0.015, won: 0.01 }, 40)).toBeLessThanOrEqual(0.1);
    expect(promoted({ lost: 0.002, won: 0.008 }, 20)).toBeGreaterThanOrEqual(0.9);
  });
});
