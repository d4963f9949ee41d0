/** The gate: what it promotes, what it refuses, and how often it is fooled by noise. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideGate, rowsNeeded, type GateInput } from '../../functions/domain/gate.ts';
import { comparePaired } from '../../functions/domain/paired-bootstrap.ts';
import { drawBinomial, seededRandom, signTest, wilsonInterval, type Random } from '../../shared/statistics.ts';
import type { HeldOut } from '../../shared/engine.ts';
import { Evaluation, Reason } from '../../shared/wire/evaluation.ts';

type Rates = { candidate: number; incumbent: number | null; frozen?: number; baseline?: number };

/** Held-out answers of independent contenders with these accuracies over `labels` balanced classes. */
function simulate(rows: number, labels: number, rates: Rates, random: Random): HeldOut {
  const truth = Array.from({ length: rows }, (_, i) => i % labels);
  const answers = (rate: number) => ({
    prediction: truth.map((label) => (random() < rate ? label : (label + 1 + Math.floor(random() * (labels - 1))) % labels)),
    confidence: truth.map(() => rate),
  });
  return {
    split: 'test',
    labels: Array.from({ length: labels }, (_, k) => `class ${k}`),
    rows: truth.map((_, i) => i),
    truth,
    candidate: answers(rates.candidate),
    incumbent: rates.incumbent === null ? null : answers(rates.incumbent),
    frozen: answers(rates.frozen ?? rates.candidate),
    baseline: answers(rates.baseline ?? 1 / labels),
    zero_shot: null,
    scratch: null,
    source_only: null,
  };
}

function inputOf(heldOut: HeldOut, more: Partial<GateInput> = {}): GateInput {
  const labels = heldOut.labels;
  return {
    heldOut,
    promote: 'if_better',
    classifier: 'cls_1',
    incumbentLabels: heldOut.incumbent ? labels : null,
    candidateLabels: labels,
    fitsEdge: true,
    networks: { candidate: 'tail', incumbent: heldOut.incumbent ? 'base' : null },
    seed: 7,
    ...more,
  };
}

const codes = (outcome: { reasons: readonly Reason[] }) => outcome.reasons.map((reason) => reason.code);

describe('decisions', () => {
  it('promotes a candidate that is plainly better, with evidence', () => {
    const outcome = decideGate(inputOf(simulate(400, 5, { candidate: 0.9, incumbent: 0.6 }, seededRandom(1))));
    expect(outcome.decision).toBe('promoted');
    expect(codes(outcome)).toContain('better_than_incumbent');
    const versus = outcome.evaluation.comparisons.find((c) => c.against === 'incumbent')!;
    expect(versus.interval.low).toBeGreaterThan(0.1);
    expect(versus.probability_better).toBeGreaterThan(0.99);
    Evaluation.parse(outcome.evaluation);
    outcome.reasons.forEach((reason) => Reason.parse(reason));
  });

  it('refuses a tie and says how many more rows would be needed', () => {
    const heldOut = simulate(200, 4, { candidate: 0.8, incumbent: 0.8 }, seededRandom(2));
    // 10 rows won, 8 lost, the rest equal: a difference in its favour, but within noise.
    const incumbent = heldOut.candidate.prediction.map((p, i) => (i < 10 && p === heldOut.truth[i] ? (p + 1) % 4 : p));
    const outcome = decideGate(inputOf({ ...heldOut, incumbent: { prediction: incumbent, confidence: heldOut.candidate.confidence } }));
    const wins = outcome.evaluation.comparisons[0]!.wins;
    expect(wins).toBeGreaterThan(4);
    expect(outcome.decision).toBe('promoted');

    const swapped = incumbent.map((p, i) => (i >= 20 && i < 32 ? heldOut.truth[i]! : p));
    const tie = decideGate(inputOf({ ...heldOut, incumbent: { prediction: swapped, confidence: heldOut.candidate.confidence } }));
    expect(tie.decision).toBe('refused');
    const reason = tie.reasons.find((r) => r.code === 'not_proven_better')!;
    expect(reason.detail).toContain('not proven better');
    expect(reason.detail).toMatch(/interval/);
    expect(reason.evidence['rows_needed'] === null || Number(reason.evidence['more_rows_needed']) > 0).toBe(true);
  });

  it('refuses when nothing is held out, and says when little is', () => {
    const none = decideGate(inputOf(simulate(0, 3, { candidate: 1, incumbent: 0 }, seededRandom(3))));
    expect(none.decision).toBe('refused');
    expect(codes(none)).toEqual(['no_held_out_rows']);
    const few = decideGate(inputOf(simulate(6, 3, { candidate: 1, incumbent: 0.5 }, seededRandom(3))));
    expect(few.decision).toBe('refused');
    expect(codes(few)).toContain('small_held_out');
  });

  it('measures against the baseline when nothing is served', () => {
    const outcome = decideGate(inputOf(simulate(200, 5, { candidate: 0.8, incumbent: null, frozen: 0.8 }, seededRandom(4))));
    expect(outcome.decision).toBe('promoted');
    expect(codes(outcome)).toEqual(expect.arrayContaining(['nothing_served', 'better_than_baseline']));
    // What is not there is not said to serve nothing.
    const nowhere = decideGate(inputOf(simulate(200, 5, { candidate: 0.8, incumbent: null }, seededRandom(4)), { classifier: null }));
    expect(codes(nowhere)).toEqual(expect.arrayContaining(['no_classifier', 'nothing_served']));
    expect(nowhere.reasons.find((r) => r.code === 'nothing_served')?.detail).not.toContain('The classifier');
    // Whoever always answers one class finds all of its rows.
    const constant = { prediction: Array.from({ length: 200 }, () => 0), confidence: Array.from({ length: 200 }, () => 0.2) };
    const first = decideGate(inputOf({ ...simulate(200, 5, { candidate: 0.7, incumbent: null }, seededRandom(4)), baseline: constant }));
    expect(first.decision).toBe('promoted');
    const hurt = decideGate(inputOf(simulate(400, 5, { candidate: 0.5, incumbent: null, frozen: 0.9 }, seededRandom(5))));
    expect(hurt.decision).toBe('refused');
    expect(hurt.reasons.find((r) => r.code === 'worse_than_frozen')?.blocks).toBe(true);
  });

  it('refuses a candidate that forgets a label or loses a class, however good the rest is', () => {
    const heldOut = simulate(600, 6, { candidate: 0.95, incumbent: 0.5 }, seededRandom(6));
    const forgets = decideGate(inputOf(heldOut, { incumbentLabels: [...heldOut.labels, 'rare'] }));
    expect(forgets.decision).toBe('refused');
    expect(forgets.reasons.find((r) => r.code === 'forgets_labels')?.evidence['labels']).toEqual(['rare']);

    const onClass = (prediction: number[], value: (i: number) => number) => prediction.map((p, i) => (heldOut.truth[i] === 2 ? value(i) : p));
    const lost = decideGate(
      inputOf({
        ...heldOut,
        candidate: { ...heldOut.candidate, prediction: onClass(heldOut.candidate.prediction, () => 3) },
        incumbent: { ...heldOut.incumbent!, prediction: onClass(heldOut.incumbent!.prediction, () => 2) },
      }),
    );
    expect(lost.decision).toBe('refused');
    expect(lost.reasons.find((r) => r.code === 'worse_on_class')?.evidence['label']).toBe('class 2');
  });

  it('compares on all rows and on shared labels when the incumbent does not know some', () => {
    const heldOut = simulate(400, 4, { candidate: 0.9, incumbent: 0.9 }, seededRandom(8));
    const incumbent = heldOut.incumbent!.prediction.map((p) => (p >= 2 ? -1 : p));
    const outcome = decideGate(
      inputOf({ ...heldOut, incumbent: { ...heldOut.incumbent!, prediction: incumbent } }, { incumbentLabels: ['class 0', 'class 1'] }),
    );
    expect(outcome.evaluation.comparisons.map((c) => [c.against, c.on, c.rows])).toContainEqual(['incumbent', 'shared_labels', 200]);
    expect(codes(outcome)).toContain('new_labels');
    expect(outcome.decision).toBe('promoted');
    // The same, but on what both know the candidate is much worse: new labels do not buy that.
    const worse = heldOut.candidate.prediction.map((p, i) => (heldOut.truth[i]! < 2 && i % 3 !== 0 ? 3 : p));
    const refused = decideGate(
      inputOf(
        { ...heldOut, candidate: { ...heldOut.candidate, prediction: worse }, incumbent: { ...heldOut.incumbent!, prediction: incumbent } },
        { incumbentLabels: ['class 0', 'class 1'] },
      ),
    );
    expect(refused.decision).toBe('refused');
    expect(codes(refused)).toContain('worse_on_shared_labels');
  });

  it('answers not_requested without a classifier or without the wish, and still measures', () => {
    const heldOut = simulate(300, 3, { candidate: 0.95, incumbent: 0.5 }, seededRandom(9));
    for (const more of [{ promote: 'never' as const }, { classifier: null }]) {
      const outcome = decideGate(inputOf(heldOut, more));
      expect(outcome.decision).toBe('not_requested');
      expect(codes(outcome)).toContain('better_than_incumbent');
    }
  });
});

describe('simulations', () => {
  const rate = (rows: number, rates: Rates, runs: number, labels = 5) => {
    let promoted = 0;
    for (let run = 0; run < runs; run++) {
      const heldOut = simulate(rows, labels, rates, seededRandom(1_000 + run));
      promoted += decideGate(inputOf(heldOut, { seed: run })).decision === 'promoted' ? 1 : 0;
    }
    return promoted / runs;
  };
  it('promotes an equal candidate in at most one of twenty runs', () => {
    for (const rows of [30, 200]) expect(rate(rows, { candidate: 0.75, incumbent: 0.75 }, 120)).toBeLessThanOrEqual(0.07);
  });
  it('promotes a worse candidate hardly ever', () => {
    expect(rate(200, { candidate: 0.7, incumbent: 0.78 }, 60)).toBeLessThanOrEqual(0.02);
  });
  it('promotes a much better candidate nearly always', () => {
    expect(rate(200, { candidate: 0.88, incumbent: 0.65 }, 40)).toBeGreaterThanOrEqual(0.95);
  });
});

describe('statistics', () => {
  it('is the same for the same seed and does not depend on the order of rows', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 60 }), fc.nat(1e6), (rows, seed) => {
        const run = (of: typeof rows) =>
          comparePaired(
            of.map((r) => r[0]),
            of.map((r) => r[1]),
            of.map((r) => r[2]),
            seed,
            200,
          );
        const a = run(rows);
        expect(run(rows)).toEqual(a);
        expect(a.wins - a.losses).toBe(Math.round(a.difference * rows.length));
        expect(a.interval.low).toBeLessThanOrEqual(a.interval.high);
        expect(run(rows.toReversed()).difference).toBe(a.difference);
      }),
      { numRuns: 60 },
    );
  });
  it('Wilson covers and contains the share; the sign test is a probability and symmetric', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, share) => {
        const k = Math.round(n * share);
        const { low, high } = wilsonInterval(k, n);
        expect(low).toBeLessThanOrEqual(k / n);
        expect(high).toBeGreaterThanOrEqual(k / n);
        const p = signTest(k, n - k);
        expect(p).toBeGreaterThanOrEqual(0);
        expect(p).toBeLessThanOrEqual(1);
        // P(X ≥ k) + P(X ≥ n − k + 1) = 1 for a symmetric binomial.
        expect(p + signTest(n - k + 1, k - 1 < 0 ? 0 : k - 1)).toBeCloseTo(k === 0 ? p + signTest(n + 1, 0) : 1, 8);
      }),
      { numRuns: 100 },
    );
    expect(signTest(5, 0)).toBeCloseTo(1 / 32, 12);
    expect(signTest(8, 2)).toBeCloseTo(56 / 1_024, 12);
    expect(signTest(0, 0)).toBe(1);
    // scipy.stats.binomtest(60, 100, alternative='greater').pvalue
    expect(signTest(60, 40)).toBeCloseTo(0.02844397, 7);
  });
  it('draws binomials with the right mean and variance, on both sides of the switch to the normal', () => {
    for (const [n, p] of [
      [12, 0.3],
      [200, 0.04],
      [1_000, 0.5],
      [400, 0.9],
    ] as const) {
      const random = seededRandom(n);
      const draws = Array.from({ length: 20_000 }, () => drawBinomial(n, p, random));
      const mean = draws.reduce((a, b) => a + b, 0) / draws.length;
      const variance = draws.reduce((a, b) => a + (b - mean) ** 2, 0) / draws.length;
      expect(Math.abs(mean - n * p)).toBeLessThan(4 * Math.sqrt((n * p * (1 - p)) / draws.length) + 0.01);
      expect(variance / (n * p * (1 - p))).toBeGreaterThan(0.94);
      expect(variance / (n * p * (1 - p))).toBeLessThan(1.06);
    }
  });
  it('says how many rows would prove the difference, and none when there is no difference', () => {
    const truth = Array.from({ length: 100 }, () => 0);
    const better = comparePaired(
      truth,
      truth.map((_, i) => i < 84),
      truth.map((_, i) => i >= 4 && i < 82),
      1,
      100,
    );
    expect(better.wins).toBe(6);
    // (1.644854 + 0.841621)² · (0.06 − 0.06²) / 0.06² = 96.9
    expect(rowsNeeded(better)).toBe(97);
    expect(
      rowsNeeded(
        comparePaired(
          truth,
          truth.map(() => true),
          truth.map(() => true),
          1,
          100,
        ),
      ),
    ).toBeNull();
  });
});
