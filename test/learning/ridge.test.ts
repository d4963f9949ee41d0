/** Closed forms against brute force: left-out predictions equal refits, dual equals primal, and a deleted example leaves nothing behind. */
import { expect, test } from 'vitest';
import type { RidgeInput } from '../../functions/learning/ridge-fit.ts';
import { fitRidge } from '../../functions/learning/ridge.ts';
import { balancedWeights } from '../../functions/learning/targets.ts';
import { solveHead, type LearnExample } from '../../functions/learning/solve-head.ts';

function random(seed: number): () => number {
  let s = seed;
  return () => {
    s = (s * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return s / 4_294_967_296 - 0.5;
  };
}

/** Weighted ridge by gradient-free normal equations (Gauss-Jordan), on its own: [d + 1][labels]. */
function bruteForce(x: number[][], y: number[][], s: number[], lambda: number): number[][] {
  const rows = x.map((r) => [...r, 1]);
  const d = rows[0]!.length;
  const a = Array.from({ length: d }, (_, i) =>
    Array.from(
      { length: d + y[0]!.length },
      (_, j) => rows.reduce((sum, r, n) => sum + s[n]! * r[i]! * (j < d ? r[j]! : y[n]![j - d]!), 0) + (i === j ? lambda : 0),
    ),
  );
  for (let p = 0; p < d; p++) {
    const pivot = a[p]![p]!;
    a[p] = a[p]!.map((v) => v / pivot);
    for (let r = 0; r < d; r++)
      if (r !== p) {
        const f = a[r]![p]!;
        a[r] = a[r]!.map((v, c) => v - f * a[p]![c]!);
      }
  }
  return a.map((r) => r.slice(d));
}

for (const [n, d] of [
  [9, 20],
  [30, 6],
] as const) {
  test(`left-out scores equal refits without the row (${n} rows, ${d} dimensions)`, () => {
    const next = random(7);
    const rows = Array.from({ length: n }, () => Array.from({ length: d }, next));
    const labelsOf = rows.map((_, i) => [i % 3]);
    const input: RidgeInput = { x: Float64Array.from(rows.flat()), n, d, labels: 3, labelsOf };
    const fit = fitRidge(input, 0.3);
    const s = [...balancedWeights(labelsOf, 3)];
    const y = labelsOf.map(([c]) => [0, 1, 2].map((k) => (k === c ? 1 : -1)));
    const without = (list: number[][], i: number): number[][] => list.filter((_, j) => j !== i);
    for (let i = 0; i < n; i++) {
      const w = bruteForce(
        without(rows, i),
        without(y, i),
        s.filter((_, j) => j !== i),
        0.3,
      );
      for (let c = 0; c < 3; c++) {
        const said = [...rows[i]!, 1].reduce((sum, v, j) => sum + v * w[j]![c]!, 0);
        expect(fit.leftOut[i * 3 + c]!).toBeCloseTo(said, 8);
      }
    }
  });
}

test('a head after a deletion equals one that never saw the example', () => {
  const next = random(11);
  const example = (id: string, label: number): LearnExample => ({
    id,
    labelsOf: [label],
    base: Float32Array.from({ length: 24 }, next),
    tuned: null,
  });
  const kept = Array.from({ length: 12 }, (_, i) => example(`ex_${i}`, i % 3));
  const rest = {
    labels: ['a', 'b', 'c'],
    task: 'single_label',
    transform: 'l2',
    dimension: 24,
    names: [null, null, null],
    background: { base: [], tuned: [] },
    tunedMix: 0,
    trainedTemperature: null,
    falseRejectRate: 0.05,
  } as const;
  const before = solveHead({ ...rest, examples: kept })!;
  const seen = solveHead({ ...rest, examples: [...kept, example('ex_99', 0)] })!;
  const after = solveHead({ ...rest, examples: kept.filter((e) => e.id !== 'ex_99') })!;
  expect(after.head.components[0]!.weight).toEqual(before.head.components[0]!.weight);
  expect(seen.head.components[0]!.weight).not.toEqual(before.head.components[0]!.weight);
});

test('values that are no numbers are refused by name', () => {
  const bad = { id: 'ex_1', labelsOf: [0], base: Float32Array.from([1, Number.NaN]), tuned: null };
  expect(() =>
    solveHead({
      labels: ['a'],
      task: 'single_label',
      transform: 'l2',
      dimension: 2,
      examples: [bad],
      names: [null],
      background: { base: [], tuned: [] },
      tunedMix: 0,
      trainedTemperature: null,
      falseRejectRate: null,
    }),
  ).toThrow(/value 1 .* NaN/);
});
