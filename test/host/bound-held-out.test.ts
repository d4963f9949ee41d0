/** What of the held-out answers goes into a completion. */
import { describe, expect, it } from 'vitest';
import { boundHeldOut, HELD_OUT_MAX_BYTES } from '../../gpu-trainer/host/bound-held-out.ts';
import { heldOutFault } from '../../functions/domain/held-out-check.ts';
import { EngineResult } from '../../shared/engine.ts';
import { JSON_MAX_BYTES } from '../../shared/limits.ts';

const LABELS = ['a', 'b', 'c'];
/** Row 10 i has the label i mod 3, and every contender is as sure of it as i says. */
const one = (i: number, who: number) => ({ prediction: (i + who) % 3, confidence: (((i * 7 + who) % 1_000) + 0.123456789) / 1_001 });
function resultOf(rows: number, several = false): EngineResult {
  const all = Array.from({ length: rows }, (_, i) => i);
  const answers = (who: number) =>
    several
      ? { prediction: all.map((i) => [one(i, who).prediction]), probability: all.map((i) => [one(i, who).confidence]) }
      : { prediction: all.map((i) => one(i, who).prediction), confidence: all.map((i) => one(i, who).confidence) };
  const contenders = { candidate: answers(0), incumbent: answers(1), frozen: answers(2), baseline: answers(3) };
  return EngineResult.parse({
    method: { asked: 'auto', used: 'linear_probe' },
    hyperparameters: {},
    tuned_mix: 0,
    mix_curve: [],
    temperature: 1,
    labels: LABELS,
    held_out: {
      ...(several ? { task: 'multi_label' } : {}),
      split: 'test',
      labels: LABELS,
      rows: all.map((i) => 10 * i),
      truth: all.map((i) => (several ? [i % 3] : i % 3)),
      ...contenders,
    },
    train_rows: 1,
    seconds: 1,
    device: 'cpu',
    losses: [],
    notes: ['first'],
  });
}

describe('held-out answers', () => {
  it('go as they are where they fit', () => {
    const result = resultOf(1_000);
    expect(boundHeldOut(result, 1)).toBe(result);
  });

  it.each([false, true])('are a sample of whole rows where they do not (several labels: %s)', (several) => {
    const max = 200_000;
    const all = resultOf(20_000, several);
    const bounded = boundHeldOut(all, 1, max);
    const { held_out: held, notes } = bounded;
    expect(heldOutFault(held)).toBeNull();
    const bytes = JSON.stringify(held).length;
    expect([bytes <= max, bytes > 0.85 * max]).toEqual([true, true]);
    expect(notes).toEqual([
      'first',
      `The gate judged by ${held.rows.length} of 20000 held-out rows, drawn at random: all of them are more than one completion carries.`,
    ]);
    for (const [at, row] of held.rows.entries()) {
      const i = row / 10;
      const { prediction, confidence } = one(i, 1);
      expect(held.truth[at]).toEqual(several ? [i % 3] : i % 3);
      expect([held.incumbent!.prediction[at], 'task' in held ? held.incumbent!.probability[at] : held.incumbent!.confidence[at]]).toEqual(
        several ? [[prediction], [confidence]] : [prediction, confidence],
      );
    }
    // Labels that come in turns are all there, each with its share.
    for (const label of [0, 1, 2]) expect(held.truth.filter((own) => [own].flat()[0] === label).length / held.rows.length).toBeCloseTo(1 / 3, 1);
    expect(boundHeldOut(all, 1, max)).toEqual(bounded);
    expect(boundHeldOut(all, 2, max).held_out.rows).not.toEqual(held.rows);
  });

  it('of 300,000 rows fit a request of the Worker', () => {
    const all = resultOf(300_000);
    expect(JSON.stringify(all).length).toBeGreaterThan(JSON_MAX_BYTES);
    expect(JSON.stringify(boundHeldOut(all, 1)).length).toBeLessThan(HELD_OUT_MAX_BYTES + 100_000);
  });
});
