/** Several labels an input: sigmoids fitted to left-out scores, whatever their scale, and examples that have none of the labels. */
import { expect, test } from 'vitest';
import { CAUTIOUS_BELIEF, priorTemperature } from '../../functions/learning/calibration.ts';
import { exactMatches, fitSigmoidTemperature, sigmoidOf } from '../../functions/learning/multi-label.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';
import { solveHead, type LearnExample } from '../../functions/learning/solve-head.ts';

let state = 3;
const random = (): number => (state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296) / 4_294_967_296;

/** Labels drawn from the sigmoid of `2 · score / t`: the fit must find t again. */
function drawn(t: number, rows: number): { scores: Float64Array; labelsOf: number[][] } {
  const scores = Float64Array.from({ length: rows * 3 }, () => (random() - 0.5) * 6 * t);
  const labelsOf = Array.from({ length: rows }, (_, i) => [0, 1, 2].filter((c) => random() < sigmoidOf(scores[i * 3 + c]!, t)));
  return { scores, labelsOf };
}

for (const t of [0.1, 0.5, 2])
  test(`the temperature of labels that were drawn at ${t} is found again`, () => {
    const { scores, labelsOf } = drawn(t, 600);
    expect(Math.abs(Math.log(fitSigmoidTemperature(scores, labelsOf, 3) / t))).toBeLessThan(0.25);
  });

test('a few rows hardly move the prior, and none do not', () => {
  expect(fitSigmoidTemperature(new Float64Array(0), [], 3)).toBeCloseTo(priorTemperature(2, CAUTIOUS_BELIEF), 6);
  const { scores, labelsOf } = drawn(2, 2);
  expect(Math.abs(Math.log(fitSigmoidTemperature(scores, labelsOf, 3) / priorTemperature(2, CAUTIOUS_BELIEF)))).toBeLessThan(1);
});

test('a match is exact: none more, none less', () => {
  const scores = Float64Array.from([1, -1, 0.5, 1, 1, -1, -1, -1, -1]);
  expect(exactMatches(scores, [[0, 2], [0], [1]], 3)).toBe(1);
});

test('examples with none of the labels teach what is none of them, are judged, and are near to nothing that has a name', () => {
  const D = 12;
  /** What has none of the labels shows one of them a little, and something of its own. */
  const NONE = [0.7, 0, 0, 0, 0, 1];
  const showing = (own: readonly number[], seed: number): Float32Array =>
    Float32Array.from({ length: D }, (_, i) => (own.length > 0 ? Number(own.includes(i)) : (NONE[i] ?? 0)) + 0.25 * Math.sin(7 * i + 13 * seed));
  const SETS = [[0], [1], [2], [0, 1], [1, 2]];
  const of = (sets: readonly number[][], each: number): LearnExample[] =>
    sets.flatMap((labelsOf, s) =>
      Array.from({ length: each }, (_, i) => ({ id: `${labelsOf.join()}-${s}-${i}`, labelsOf, base: showing(labelsOf, s + 11 * i), tuned: null })),
    );
  const solve = (examples: readonly LearnExample[]) =>
    solveHead({
      labels: ['red', 'round', 'soft'],
      task: 'multi_label',
      transform: 'l2',
      dimension: D,
      examples,
      names: [null, null, null],
      background: { base: [], tuned: [] },
      tunedMix: 0,
      trainedTemperature: null,
      falseRejectRate: null,
    })!;
  const some = of(SETS, 4);
  const [without, taught] = [solve(some), solve([...of([[]], 8), ...some])];
  const strangers = Array.from({ length: 30 }, (_, i) => showing([], 500 + i));
  const yes = ({ head }: ReturnType<typeof solve>) => strangers.reduce((sum, base) => sum + scoreHead(head, { base, tuned: null }).labels.length, 0);
  expect(yes(taught)).toBe(0);
  expect(yes(without)).toBeGreaterThan(5);
  for (const [s, own] of SETS.entries()) {
    const { labels, nearest } = scoreHead(taught.head, { base: showing(own, 700 + s), tuned: null });
    expect(labels.toSorted()).toEqual(own.map((c) => ['red', 'round', 'soft'][c]));
    expect(nearest).not.toBeNull();
  }
  expect(scoreHead(taught.head, { base: showing([], 11), tuned: null }).nearest).toBeNull();
  expect(taught.evidence).toMatchObject({ examples: 28, left_out_rows: 28 });
  expect(taught.evidence.left_out_accuracy).toBeGreaterThan(0.8);
});
