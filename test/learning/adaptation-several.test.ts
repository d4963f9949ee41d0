/** Adaptation where inputs have several labels: undone shifts, and everything that labels do not show to gain is refused. */
import { describe, expect, it } from 'vitest';
import { decideAdaptation } from '../../functions/learning/adaptation/decide.ts';
import { decideSeveral } from '../../functions/learning/adaptation/decide-several.ts';
import { scoresOf, solveAdapted } from '../../functions/learning/adaptation/solve-adapted.ts';
import { information, separateInformation } from '../../functions/learning/adaptation/validators.ts';
import { exactMatches } from '../../functions/learning/multi-label.ts';
import { leftOutKnownness, solveHead, type SolveInput } from '../../functions/learning/solve-head.ts';
import type { Head } from '../../shared/head.ts';
import { normal, seededRandom } from '../../shared/statistics.ts';

const D = 40;
const K = 4;
type Row = { base: Float32Array; tuned: null };
type Drawn = { rows: Row[]; labelsOf: number[][] };

/** A direction a label, which add up; the target is moved and stretched. */
function world(seed: number) {
  const next = seededRandom(seed);
  const vector = (scale: number) => Array.from({ length: D }, () => scale * normal(next));
  const [middle, move] = [vector(1), vector(1.8)];
  const directions = Array.from({ length: K }, () => vector(0.6));
  const stretch = vector(0.3).map(Math.exp);
  const row = (labels: readonly number[], moved: boolean): Row => ({
    base: Float32Array.from(middle, (m, j) => {
      const own = labels.reduce((sum, c) => sum + directions[c]![j]!, 0) + 0.4 * normal(next);
      return m + (moved ? own * stretch[j]! + move[j]! : own);
    }),
    tuned: null,
  });
  /** @param of the labels that inputs show; each has at least one of them */
  const draw = (count: number, moved: boolean, of: readonly number[] = [0, 1, 2, 3]): Drawn => {
    const labelsOf = Array.from({ length: count }, (_, i) => of.filter((c) => c === of[i % of.length] || next() < 0.3));
    return { labelsOf, rows: labelsOf.map((own) => row(own, moved)) };
  };
  return { draw };
}

function inputOf({ rows, labelsOf }: Drawn): SolveInput {
  return {
    labels: ['a', 'b', 'c', 'd'],
    task: 'multi_label',
    transform: 'l2',
    dimension: D,
    examples: rows.map((row, i) => ({ id: `ex_${1000 + i}`, labelsOf: labelsOf[i]!, ...row })),
    names: [null, null, null, null],
    background: { base: [], tuned: [] },
    tunedMix: 0,
    trainedTemperature: null,
    falseRejectRate: null,
  };
}

const exact = (head: Head, { rows, labelsOf }: Drawn): number => exactMatches(scoresOf(head, rows), labelsOf, K) / rows.length;
const some = (labelsOf: readonly number[][], every: number): (number[] | null)[] => labelsOf.map((own, i) => (i % every === 0 ? own : null));

describe('adaptation of several labels an input', () => {
  it('undoes a shift that labels of some inputs show, and goes on from the same target', () => {
    let [before, after, adapted] = [0, 0, 0];
    for (let seed = 1; seed <= 8; seed++) {
      const w = world(seed);
      const input = inputOf(w.draw(48, false));
      const target = w.draw(48, true);
      const held = w.draw(200, true);
      const plain = exact(solveHead(input)!.head, held);
      const decision = decideSeveral(input, target.rows, some(target.labelsOf, 2))!;
      before += plain / 8;
      after += (decision.adapt ? exact(decision.solved.head, held) : plain) / 8;
      if (!decision.adapt) continue;
      adapted++;
      const { evidence, mix, solved } = decision;
      expect(solved.head.task).toBe('multi_label');
      expect(evidence).toMatchObject({ inputs: 48, labelled: 24, candidates: [{ method: 'centre' }, { method: 'coral' }] });
      expect(evidence.labels!.won).toBeGreaterThan(evidence.labels!.lost);
      expect(evidence.after.labelled_decisions!).toBeGreaterThan(evidence.before.labelled_decisions!);
      expect(evidence.domain_distance.after).toBeLessThan(evidence.domain_distance.before);
      const again = solveAdapted(input, target.rows, mix)!;
      expect(again.head.components).toEqual(solved.head.components);
      expect(again.evidence.left_out_accuracy).toBeGreaterThan(0.3);
    }
    expect(adapted).toBeGreaterThanOrEqual(7);
    expect(after).toBeGreaterThan(before + 0.15);
  });

  it('counts what would be answered: an input that was unknown and is answered rightly has gained', () => {
    // So far away that everything is unknown, in a direction that leaves the yes and no of each label as they are.
    const w = world(3);
    const background = { base: w.draw(200, false).rows.map(({ base }) => base.map((v, j) => (j % 2 ? v + 6 : v - 6))), tuned: [] };
    const input = { ...inputOf(w.draw(48, false)), falseRejectRate: 0.05, background };
    const away = (rows: readonly Row[]): Row[] => rows.map(({ base }) => ({ base: base.map((v, j) => (j % 2 ? v + 3 : v - 3)), tuned: null }));
    const target = w.draw(48, false);
    const decision = decideSeveral(input, away(target.rows), some(target.labelsOf, 2))!;
    expect(decision.evidence!.strangers!.before).toBeGreaterThan(0.5);
    const { before, after } = decision.evidence!;
    expect(before.labelled_accuracy).toBeLessThan(0.3);
    expect(decision).toMatchObject({ adapt: true });
    expect(after.labelled_accuracy).toBeGreaterThan(before.labelled_accuracy! + 0.25);
  });

  it('asks for labels where nobody gave any, however far the target lies', () => {
    const w = world(3);
    const target = w.draw(48, true);
    const input = inputOf(w.draw(48, false));
    const decision = decideSeveral(
      input,
      target.rows,
      target.rows.map(() => null),
    )!;
    expect(decision).toMatchObject({
      adapt: false,
      reason: 'labels_needed',
      evidence: { labelled: 0, labels: null, after: { labelled_accuracy: null } },
    });
    expect(decideSeveral(input, target.rows.slice(0, 5), some(target.labelsOf, 1).slice(0, 5))).toMatchObject({
      adapt: false,
      reason: 'too_few_inputs',
    });
    // The rules for one label an input are not for these.
    expect(
      decideAdaptation(
        input,
        target.rows,
        target.rows.map(() => null),
      ),
    ).toBeNull();
  });

  it('refuses other combinations of labels in the same domain, whose mean moves as another domain’s does', () => {
    let [refused, apart] = [0, 0];
    for (let seed = 11; seed <= 22; seed++) {
      const w = world(seed);
      const target = w.draw(40, false, [0, 1]);
      const decision = decideSeveral(inputOf(w.draw(48, false)), target.rows, some(target.labelsOf, 1))!;
      if (!decision.adapt) refused++;
      apart += decision.evidence!.domain_distance.before / 12;
    }
    expect(apart).toBeGreaterThan(1);
    expect(refused).toBe(12);
  });

  it('refuses the same domain again, and gains of fewer inputs than chance brings', () => {
    let refused = 0;
    for (let seed = 31; seed <= 42; seed++) {
      const w = world(seed);
      const target = w.draw(40, false);
      const decision = decideSeveral(inputOf(w.draw(48, false)), target.rows, some(target.labelsOf, 1))!;
      if (!decision.adapt) refused++;
    }
    expect(refused).toBe(12);
    const w = world(2);
    const target = w.draw(48, true);
    const four = some(target.labelsOf, 1).map((own, i) => (i < 4 ? own : null));
    const unsure = decideSeveral(inputOf(w.draw(48, false)), target.rows, four)!;
    expect(unsure).toMatchObject({ adapt: false, reason: 'unproven_on_labels', evidence: { labelled: 4 } });
    if (!unsure.adapt) expect(unsure.detail).toContain('4 labelled');
  });

  it('says how much answers tell, label by label', () => {
    // Two labels: one always half-half, one sure and even.
    expect(separateInformation(Float64Array.from([0.5, 1, 0.5, 0]), 2)).toBeCloseTo(0.5, 12);
    expect(separateInformation(Float64Array.from([1, 1, 1, 1]), 2)).toBeCloseTo(0, 12);
    expect(separateInformation(Float64Array.from([0.9, 0.2]), 1)).toBeCloseTo(information(Float64Array.from([0.9, 0.1, 0.2, 0.8]), 2), 12);
  });

  it('promises of known inputs nothing by examples that have none of the labels', () => {
    const w = world(3);
    const drawn = w.draw(48, false);
    const next = seededRandom(9);
    const none = Array.from({ length: 24 }, () => ({ base: Float32Array.from({ length: D }, () => 3 * normal(next)), tuned: null }));
    const all = { rows: [...drawn.rows, ...none], labelsOf: [...drawn.labelsOf, ...none.map(() => [])] };
    const input: SolveInput = { ...inputOf(all), falseRejectRate: 0.05 };
    const target = w.draw(48, true);
    const solved = solveAdapted(input, target.rows, { centre: 0.5, coral: 0.5, self_training: 0 })!;
    const { head, leftOut } = solved;
    const labelled = leftOut.labelsOf.filter((own) => own.length > 0).length;
    expect(labelled).toBeLessThan(leftOut.ids.length);
    expect(leftOutKnownness(leftOut, K, head.openSet!.varianceWeight)).toHaveLength(labelled);
  });
});
