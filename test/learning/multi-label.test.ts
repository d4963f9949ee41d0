/** Sigmoids fitted to left-out scores: probabilities that hold, whatever the scale of the scores. */
import { expect, test } from 'vitest';
import { CAUTIOUS_BELIEF, priorTemperature } from '../../functions/learning/calibration.ts';
import { exactMatches, fitSigmoidTemperature, sigmoidOf } from '../../functions/learning/multi-label.ts';

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
