/** Macro F1 of one label a row: the field's formula, the same resampling as for several labels, and a gate that it can close. */
import { describe, expect, it } from 'vitest';
import { decideGate } from '../../functions/domain/gate.ts';
import { compareMacroF1, macroF1 } from '../../functions/domain/macro-f1.ts';
import { compareSeveral } from '../../functions/domain/paired-labels.ts';
import type { HeldOut } from '../../shared/engine.ts';
import { seededRandom } from '../../shared/statistics.ts';

const of = (...parts: [label: number, times: number][]): number[] => parts.flatMap(([label, times]) => Array.from({ length: times }, () => label));

describe('macro F1', () => {
  it('is the mean over the labels that rows have of 2 · both / (has + said)', () => {
    const truth = [0, 0, 0, 1, 1, 2];
    const { value, interval } = macroF1(truth, [0, 0, 1, 1, 2, 2], 1);
    expect(value).toBeCloseTo((4 / 5 + 1 / 2 + 2 / 3) / 3, 12);
    expect(interval.low).toBeLessThan(value);
    expect(interval.high).toBeGreaterThan(value);
    // A label that nobody knows is wrong; one that no row has takes part only as an error.
    expect(macroF1(truth, [0, 0, -1, 1, 5, 2], 1).value).toBeCloseTo((4 / 5 + 2 / 3 + 1) / 3, 12);
    expect(macroF1([], [], 1).value).toBe(0);
  });

  it('is compared on the same samples: equal answers never differ, and a seed says all', () => {
    const random = seededRandom(4);
    const truth = Array.from({ length: 200 }, (_, i) => i % 7);
    const guess = (rate: number) => truth.map((label) => (random() < rate ? label : Math.floor(random() * 7)));
    const [good, bad] = [guess(0.9), guess(0.6)];
    expect(compareMacroF1(truth, good, good, 3)).toEqual({ difference: 0, interval: { low: 0, high: 0 }, probabilityWorse: 0 });
    const better = compareMacroF1(truth, good, bad, 3);
    expect(better).toEqual(compareMacroF1(truth, good, bad, 3));
    expect(better.interval.low).toBeGreaterThan(0.1);
    expect(compareMacroF1(truth, bad, good, 3).probabilityWorse).toBe(1);
    // As rows of several labels that have one each: other draws of the same distribution.
    const each = (labels: readonly number[]) => labels.map((label) => [label]);
    const several = compareSeveral({ truth: each(truth), labels: 7 }, each(good), each(bad), 3).macroF1;
    expect(several.difference).toBeCloseTo(better.difference, 12);
    expect(Math.abs(several.interval.low - better.interval.low)).toBeLessThan(0.02);
    expect(Math.abs(several.interval.high - better.interval.high)).toBeLessThan(0.02);
  });
});

describe('the gate', () => {
  /** 900, 30 and 30 rows of three labels; nothing is held out of the fourth. */
  const truth = of([0, 900], [1, 30], [2, 30]);
  function decide(candidate: number[], incumbent: number[]) {
    const answers = (prediction: number[]) => ({ prediction, confidence: prediction.map(() => 0.9) });
    const heldOut: HeldOut = {
      split: 'test',
      labels: ['a', 'b', 'c', 'd'],
      rows: [...truth.keys()],
      truth,
      candidate: answers(candidate),
      incumbent: answers(incumbent),
      frozen: answers(candidate),
      baseline: answers(truth.map(() => 0)),
      zero_shot: null,
      scratch: null,
      source_only: null,
    };
    const { decision, reasons, evaluation } = decideGate({
      heldOut,
      promote: 'if_better',
      classifier: 'cls_1',
      incumbentLabels: heldOut.labels,
      candidateLabels: heldOut.labels,
      fitsEdge: true,
      networks: { candidate: 'tail', incumbent: 'base' },
      seed: 7,
    });
    return { decision, evaluation, blocks: reasons.filter((reason) => reason.blocks), codes: reasons.map((reason) => reason.code) };
  }

  it('refuses who is right more often but takes the frequent for the rare', () => {
    // 100 rows of "a" are called "d" by what is served; of the candidate's 60 errors half are called "b" and half "c".
    const served = of([0, 800], [3, 100], [1, 30], [2, 30]);
    const { decision, blocks, codes, evaluation } = decide(of([0, 840], [1, 30], [2, 30], [1, 30], [2, 30]), served);
    expect(codes).toContain('better_than_incumbent');
    expect(decision).toBe('refused');
    expect(blocks).toMatchObject([{ code: 'worse_macro_f1', evidence: { probabilityWorse: 1 } }]);
    expect(blocks[0]!.detail).toBe('Averaged over classes the F1 score of the candidate is 21.4 points less than that of the version being served.');
    expect(evaluation.candidate.macro_f1!.value).toBeCloseTo((1680 / 1740 + 2 * (60 / 90)) / 3, 12);
    expect(evaluation.incumbent!.macro_f1!.value).toBeCloseTo((1600 / 1700 + 2) / 3, 12);
    expect(evaluation.comparisons[0]!.macro_f1_difference).toBeCloseTo(-0.2141, 3);
    // With the same errors called "d" nothing speaks against it.
    expect(decide(of([0, 840], [3, 60], [1, 30], [2, 30]), served).decision).toBe('promoted');
  });

  it('refuses who is right more often but finds less of several rare labels, none of them beyond doubt', () => {
    const served = of([0, 800], [3, 100], [1, 30], [2, 30]);
    const { decision, blocks } = decide(of([0, 900], [1, 25], [3, 5], [2, 25], [3, 5]), served);
    expect(decision).toBe('refused');
    expect(blocks.map(({ code }) => code)).toContain('worse_macro_recall');
    expect(blocks.map(({ code }) => code)).not.toContain('worse_on_class');
  });
});
