/** Texts whose classes differ in values that hardly move over the background: heads hear those values without being told which they are. */
import { expect, test } from 'vitest';
import { scoreHead } from '../../functions/learning/score-head.ts';
import { solveHead, type SolveInput } from '../../functions/learning/solve-head.ts';
import { seededRandom } from '../../shared/statistics.ts';

const DIMENSION = 96;
/** The first values swing widely from text to text, the others hardly. */
const LOUD = 32;
const QUIET_SPREAD = 0.12;
const SHOTS = 8;
const QUERIES = 60;

const normal = (next: () => number): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());

/** A row whose class moves `where` by `shift` of what is usual there. */
function row(next: () => number, label: number, where: 'loud' | 'quiet', shift: number): Float32Array {
  return Float32Array.from({ length: DIMENSION }, (_, j) => {
    const loud = j < LOUD;
    const spread = loud ? 1 : QUIET_SPREAD;
    const moved = loud === (where === 'loud') ? shift * spread * (j % 2 === label ? 1 : -1) : 0;
    return spread * normal(next) + moved;
  });
}

function measured(where: 'loud' | 'quiet', background: boolean): { readonly accuracy: number; readonly weights: Readonly<Record<string, number>> } {
  const next = seededRandom(5);
  const input: SolveInput = {
    labels: ['a', 'b'],
    task: 'single_label',
    transform: 'l2',
    dimension: DIMENSION,
    examples: Array.from({ length: 2 * SHOTS }, (_, i) => ({ id: String(i), labelsOf: [i % 2], base: row(next, i % 2, where, 0.45), tuned: null })),
    names: [null, null],
    background: { base: background ? Array.from({ length: 64 }, () => row(next, 0, where, 0)) : [], tuned: [] },
    tunedMix: 0,
    trainedTemperature: null,
    falseRejectRate: null,
  };
  const { head, evidence } = solveHead(input)!;
  let right = 0;
  for (let i = 0; i < QUERIES; i++) {
    const base = row(next, i % 2, where, 0.45);
    if (scoreHead(head, { base, tuned: null }).scores[0]!.label === input.labels[i % 2]) right++;
  }
  return { accuracy: right / QUERIES, weights: Object.fromEntries(evidence.blend.map((b) => [b.name, b.weight])) };
}

test('values that are quiet in the background are heard where classes differ in them', () => {
  const [with64, without] = [measured('quiet', true), measured('quiet', false)];
  expect(without.weights).not.toHaveProperty('scaled_ridge');
  expect(with64.weights['scaled_ridge']).toBeGreaterThan(0.5);
  expect(with64.accuracy).toBeGreaterThan(without.accuracy + 0.05);
});

test('and are left alone where classes differ in the loud ones', () => {
  const { accuracy, weights } = measured('loud', true);
  expect(weights['scaled_ridge']).toBeLessThan(0.5);
  expect(accuracy).toBeGreaterThan(measured('loud', false).accuracy - 0.05);
});
