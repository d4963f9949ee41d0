/** A label that was first enrolled while a job trained has no tuned embedding yet, and has to be answered all the same. */
import { describe, expect, test } from 'vitest';
import { solveAdapted } from '../../functions/learning/adaptation/solve-adapted.ts';
import { scoreHead, type Embeddings } from '../../functions/learning/score-head.ts';
import { solveHead, type LearnExample, type SolveInput } from '../../functions/learning/solve-head.ts';
import { normal, seededRandom } from '../../shared/statistics.ts';

const DIMENSION = 48;
const LABELS = ['one', 'two', 'three', 'fresh'] as const;
const FRESH = LABELS.length - 1;

/** Three labels of twelve examples each that have both embeddings, and one of six that only has that of the backbone. */
function problem(tunedMix: number) {
  const random = seededRandom(11);
  const cloud = (spread: number): Float32Array => Float32Array.from({ length: DIMENSION }, () => spread * normal(random));
  const middles = LABELS.map(() => ({ base: cloud(0.8), tuned: cloud(1.2) }));
  const near = (middle: Float32Array): Float32Array => middle.map((v) => v + normal(random));
  const examples = LABELS.flatMap((label, c): LearnExample[] =>
    Array.from({ length: c === FRESH ? 6 : 12 }, (_, i) => ({
      id: `${label}-${i}`,
      labelsOf: [c],
      base: near(middles[c]!.base),
      tuned: c === FRESH ? null : near(middles[c]!.tuned),
    })),
  );
  const background = { base: Array.from({ length: 30 }, () => cloud(1)), tuned: Array.from({ length: 30 }, () => cloud(1)) };
  const input: SolveInput = {
    labels: LABELS,
    task: 'single_label',
    transform: 'l2',
    dimension: DIMENSION,
    examples,
    names: LABELS.map(() => null),
    background,
    tunedMix,
    trainedTemperature: null,
    falseRejectRate: null,
  };
  const asked = (c: number): Embeddings => ({ base: near(middles[c]!.base), tuned: near(middles[c]!.tuned) });
  return { input, asked: LABELS.map((_, c) => Array.from({ length: 25 }, () => asked(c))) };
}

describe('a label without a tuned embedding beside labels that have them', () => {
  test.each([0.3, 0.7, 1])('is answered, and so are they, with a part of %f for the tuned', (mix) => {
    const { input, asked } = problem(mix);
    const { head, leftOut } = solveHead(input)!;
    for (const [c, inputs] of asked.entries()) {
      const right = inputs.filter((e) => scoreHead(head, e).label === LABELS[c]).length;
      expect(right, LABELS[c]).toBeGreaterThan(c === FRESH ? 15 : 21);
    }
    // The evidence is of the same head: its examples, left out, are told by their label too.
    const rows = leftOut.truth.flatMap((c, i) => (c === FRESH ? [[...leftOut.scores.subarray(i * LABELS.length, (i + 1) * LABELS.length)]] : []));
    expect(rows).toHaveLength(6);
    expect(rows.filter((scores) => scores.indexOf(Math.max(...scores)) === FRESH).length).toBeGreaterThan(3);
  });

  test('is not shouted down by the only label that has one', () => {
    const { input, asked } = problem(0.7);
    const [first] = input.examples;
    const examples = input.examples.map((e) => (e === first ? e : { ...e, tuned: null }));
    const { head, evidence } = solveHead({ ...input, examples })!;
    for (const [c, inputs] of asked.entries()) {
      const right = inputs.filter((e) => scoreHead(head, e).label === LABELS[c]).length;
      expect(right, LABELS[c]).toBeGreaterThan(21);
    }
    expect(evidence.tuned_mix).toBe(0);
  });

  test('is answered by an adapted head too', () => {
    const { input, asked } = problem(0.7);
    const moved = (values: Float32Array): Float32Array => values.map((v, i) => v + 0.6 * Math.sin(i));
    const target = asked.flat().map((e) => ({ base: moved(e.base), tuned: moved(e.tuned!) }));
    const { head } = solveAdapted(input, target, { centre: 0.5, coral: 0.5, self_training: 0 })!;
    const right = target.slice(FRESH * 25).filter((e) => scoreHead(head, e).label === LABELS[FRESH]).length;
    expect(right).toBeGreaterThan(18);
  });

  test('whose part is the whole of no label leaves heads as they were', () => {
    const { input } = problem(0.7);
    const known = input.examples.filter((e) => e.tuned !== null);
    const { head } = solveHead({ ...input, labels: LABELS.slice(0, FRESH), names: [null, null, null], examples: known })!;
    for (const { embedding, mix } of head.components) expect(mix, embedding).toBe(embedding === 'base' ? 1 - 0.7 : 0.7);
    expect(new Set(head.components.map((part) => part.embedding))).toEqual(new Set(['base', 'tuned']));
  });
});
