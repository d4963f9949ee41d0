import { expect, test } from 'vitest';
import { argmax } from '../../functions/learning/features.ts';
import { foldsOf } from '../../functions/learning/folds.ts';
import { fitRidge } from '../../functions/learning/ridge.ts';
import { rawScores } from '../../functions/learning/score-head.ts';
import { solveHead } from '../../functions/learning/solve-head.ts';

const D = 9;
const counts = [5, 3, 2, 1];
const examples = counts.flatMap((count, c) =>
  Array.from({ length: count }, (_, i) => ({
    id: `ex_${c}_${i}`,
    labelsOf: [c],
    base: Float32Array.from({ length: D }, (_v, j) => Math.sin(31 * c + 7 * i + j)),
  })),
);

test('at most one of each class is left out together, and what is alone in its class alone', () => {
  const folds = Map.groupBy(examples, (e) => foldsOf(examples)[examples.indexOf(e)]!);
  expect([...folds.values()].map((rows) => rows.map((e) => e.labelsOf[0]!).toSorted((a, b) => a - b))).toEqual(
    expect.arrayContaining([[0, 1, 2], [0, 1, 2], [0, 1], [0], [0], [3]]),
  );
  expect(folds.size).toBe(6);
});

test('neither the order of enrolling nor ids matter', () => {
  const folds = new Map(examples.map((e, i) => [e.base, foldsOf(examples)[i]]));
  const renamed = examples.toReversed().map((e, i) => ({ ...e, id: `other_${i}` }));
  for (const [i, fold] of foldsOf(renamed).entries()) if (renamed[i]!.labelsOf[0] !== 3) expect(fold).toBe(folds.get(renamed[i]!.base));
});

test('left-out scores are those of a head without the rows of the fold', () => {
  // Balanced, so that the rows that are left weigh among themselves what they weighed before.
  const rows = examples.filter((e) => e.labelsOf[0]! < 2 && Number(e.id.at(-1)) < 3);
  const inputOf = (kept: typeof rows) => ({
    x: Float64Array.from(kept.flatMap((e) => [...e.base])),
    n: kept.length,
    d: D,
    labels: 2,
    labelsOf: kept.map((e) => e.labelsOf),
  });
  const foldOf = foldsOf(rows);
  const { leftOut } = fitRidge({ ...inputOf(rows), foldOf }, 0.3);
  for (const [i, e] of rows.entries()) {
    const { weight, bias } = fitRidge(inputOf(rows.filter((_, j) => foldOf[j] !== foldOf[i])), 0.3);
    for (const c of [0, 1]) {
      const said = e.base.reduce((sum, v, j) => sum + v * weight[c * D + j]!, bias[c]!);
      expect(leftOut[i * 2 + c]).toBeCloseTo(said, 9);
    }
  }
});

test('a label gains nothing by having more examples than the others', () => {
  // Three labels on a ring, each example a noisy draw of its label.
  let state = 7;
  const next = (): number => (state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296) / 4_294_967_296 - 0.5;
  const draw = (c: number): Float32Array => Float32Array.from({ length: 64 }, (_, j) => next() + (j % 3 === c ? 0.25 : 0));
  const solve = (counts: readonly number[]) => {
    const drawn = counts.flatMap((count, c) =>
      Array.from({ length: count }, (_, i) => ({ id: `${c}-${i}`, labelsOf: [c], base: draw(c), tuned: null })),
    );
    return solveHead({
      labels: ['a', 'b', 'c'],
      task: 'single_label',
      transform: 'l2',
      dimension: 64,
      examples: drawn,
      names: [null, null, null],
      background: { base: [], tuned: [] },
      tunedMix: 0,
      trainedTemperature: null,
      falseRejectRate: null,
    })!.head;
  };
  const shares = (counts: readonly number[]): number => {
    let first = 0;
    for (let seed = 0; seed < 20; seed++) {
      const head = solve(counts);
      for (let i = 0; i < 30; i++) if (argmax(rawScores(head, { base: draw(i % 3), tuned: null })) === 0) first += 1 / 600;
    }
    return first;
  };
  expect(shares([2, 2, 2])).toBeCloseTo(1 / 3, 1);
  // Without the correction nine answers in ten are the label with twelve examples.
  expect(shares([12, 2, 2])).toBeLessThan(0.45);
});
