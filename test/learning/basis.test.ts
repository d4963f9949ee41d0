/** Many kept examples written in a few directions: what stays exact, what a head loses by it, and that it answers the same wherever it lies. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Head } from '../../shared/head.ts';
import { decodeHead, encodeHead } from '../../shared/head-file.ts';
import { normal, seededRandom } from '../../shared/statistics.ts';
import { APART, farthestFirst, span, widthFor } from '../../functions/learning/basis.ts';
import { normaliseInPlace } from '../../functions/learning/features.ts';
import { cosinesBetween } from '../../functions/learning/kernel.ts';
import { placeHead } from '../../functions/learning/resident-head.ts';
import { RowMemory } from '../../functions/learning/row-memory.ts';
import { rawScores, scoreHead, supportCosines } from '../../functions/learning/score-head.ts';
import { solveHead, type LearnExample, type SolveInput } from '../../functions/learning/solve-head.ts';

const [D, CLASSES, SHOTS] = [600, 12, 22];
const next = seededRandom(21);
const gauss = (): number => normal(next);
/** As embeddings are: classes in some directions, what varies within them in more, and a little of everything. */
const middles = Array.from({ length: CLASSES + 4 }, () => Float32Array.from({ length: D }, gauss));
const ways = Array.from({ length: 60 }, () => Float32Array.from({ length: D }, gauss));
function drawn(c: number): Float32Array {
  const row = middles[c]!.map((v) => v + 0.5 * gauss());
  for (const way of ways) {
    const by = 0.15 * gauss();
    for (let i = 0; i < D; i++) row[i]! += by * way[i]!;
  }
  return row;
}
const examples: LearnExample[] = Array.from({ length: CLASSES * SHOTS }, (_, i) => ({
  id: `ex_${i}`,
  labelsOf: [i % CLASSES],
  base: drawn(i % CLASSES),
  tuned: null,
}));
const input: SolveInput = {
  labels: Array.from({ length: CLASSES }, (_, c) => `class ${c}`),
  task: 'single_label',
  transform: 'l2',
  dimension: D,
  examples,
  names: Array.from({ length: CLASSES }, () => null),
  background: { base: Array.from({ length: 40 }, () => Float32Array.from({ length: D }, gauss)), tuned: [] },
  tunedMix: 0,
  trainedTemperature: null,
  falseRejectRate: 0.05,
};
const units = new Float32Array(examples.length * D);
for (const [i, { base }] of examples.entries()) {
  const row = Float64Array.from(base);
  normaliseInPlace(row);
  units.set(row, i * D);
}

describe('directions', () => {
  it('are used for many rows where they save a quarter of the products, more of them for more classes', () => {
    expect([widthFor(256, 1_472, 12), widthFor(257, 1_472, 12)]).toEqual([null, 96]);
    expect([widthFor(512, 64, 12), widthFor(264, D, 12)]).toEqual([null, 96]);
    expect([widthFor(512, 1_472, 2), widthFor(512, 1_472, 24), widthFor(512, 1_472, 400)]).toEqual([88, 144, 160]);
  });

  it('are orthonormal and hold the farthest rows whole', () => {
    const m = examples.length;
    const order = farthestFirst(
      cosinesBetween(units, m, D).map((c) => ((1 + c) / 2) ** 4),
      m,
    );
    expect(order.toSorted((a, b) => a - b)).toEqual(order.map((_, i) => i));
    expect(order.slice(APART)).toEqual(order.slice(APART).toSorted((a, b) => a - b));
    const sorted = Float32Array.from({ length: m * D }, (_, at) => units[order[Math.floor(at / D)]! * D + (at % D)]!);
    const { basis, coordinates } = span(sorted, cosinesBetween(sorted, m, D), m, D, 96);
    const between = cosinesBetween(basis, 96, D);
    for (let i = 0; i < 96; i++) for (let j = 0; j < 96; j++) expect(between[i * 96 + j]).toBeCloseTo(i === j ? 1 : 0, 5);
    const held = Array.from({ length: m }, (_, r) => coordinates.subarray(r * 96, (r + 1) * 96).reduce((sum, v) => sum + v * v, 0));
    for (const length of held.slice(0, APART)) expect(length).toBeCloseTo(1, 5);
    // The main directions of the rest are worth more than any others: half of these rows' variance is in more directions than there are.
    expect(held.slice(APART).reduce((a, b) => a + b, 0) / (m - APART)).toBeGreaterThan(0.75);
  });

  it('take examples that are all but the same', () => {
    const same = { ...examples[0]!, base: examples[0]!.base };
    const copies = Array.from({ length: 300 }, (_, i) => ({
      ...same,
      id: `ex_${i}`,
      labelsOf: [i % 2],
      base: same.base.map((v) => v + 1e-6 * (i % 3)),
    }));
    const { head } = solveHead({ ...input, labels: ['a', 'b'], names: [null, null], examples: copies })!;
    expect(head.support!.basis).not.toBe(null);
    for (const { score } of scoreHead(head, same).scores) expect(score).toBeGreaterThan(0);
  });
});

describe('a head over them', () => {
  let head: Head;
  const asked = Array.from({ length: 240 }, (_, i) => ({ c: i % CLASSES, e: { base: drawn(i % CLASSES), tuned: null } }));
  beforeAll(() => {
    ({ head } = solveHead(input)!);
  });

  it('compares with the farthest examples exactly', () => {
    const support = head.support!;
    const width = support.basis!.length / D;
    expect([width, support.rows.length, support.factor.length]).toEqual([96, examples.length * 96, APART ** 2]);
    const { e } = asked[0]!;
    const center = [...support.center];
    const unit = (raw: Float32Array): Float64Array => {
      const x = Float64Array.from(raw);
      normaliseInPlace(x);
      for (let i = 0; i < D; i++) x[i]! -= center[i]!;
      normaliseInPlace(x);
      return x;
    };
    const x = unit(e.base);
    const whole = examples.map(({ base }) => unit(base).reduce((sum, v, i) => sum + v * x[i]!, 0));
    const cosines = supportCosines(head, e);
    for (const cosine of cosines.subarray(0, APART)) expect(Math.min(...whole.map((w) => Math.abs(w - cosine)))).toBeLessThan(1e-5);
  });

  it('answers right, refuses strangers, and of the known about as many as was asked for', () => {
    const answers = asked.map(({ e }) => scoreHead(head, e));
    expect(answers.filter(({ scores }, i) => scores[0]!.label === `class ${asked[i]!.c}`).length).toBeGreaterThan(225);
    const refused = answers.filter((a) => a.unknown).length / asked.length;
    expect(refused).toBeGreaterThan(0.005);
    // With the variance over all rows, not only those that the directions hold whole, it is .083.
    expect(refused).toBeLessThan(0.06);
    const strangers = Array.from({ length: 80 }, (_, i) => scoreHead(head, { base: drawn(CLASSES + (i % 4)), tuned: null }));
    expect(strangers.filter((a) => a.unknown).length).toBeGreaterThan(60);
  });

  it('is the same whatever order and ids the examples come in', () => {
    const other = solveHead({ ...input, examples: examples.toReversed().map((e, i) => ({ ...e, id: `other_${i}` })) })!.head;
    for (const { e } of asked.slice(0, 20)) {
      const [a, b] = [rawScores(head, e), rawScores(other, e)];
      for (const [c, score] of a.entries()) expect(Math.abs(score - b[c]!)).toBeLessThan(1e-5);
    }
    expect(other.openSet!.threshold).toBeCloseTo(head.openSet!.threshold, 5);
  });

  it('is the same on disk, and a file with torn directions is refused', () => {
    const file = encodeHead(head);
    expect(decodeHead(file)).toEqual(head);
    const { support } = head;
    expect(() => decodeHead(encodeHead({ ...head, support: { ...support!, basis: null } }))).toThrow(RangeError);
    expect(file.byteLength).toBeLessThan(0.65 * examples.length * (D + examples.length) * 4);
  });

  it('answers the same in an isolate, in less of the memory', () => {
    const wasm = new WebAssembly.Module(new Uint8Array(readFileSync(join(import.meta.dirname, '../../functions/learning/simd/dot.wasm'))));
    const resident = placeHead(head, new RowMemory(wasm, 1 << 24))!;
    expect(resident.placedBytes).toBeLessThan(0.8 * examples.length * (D + examples.length) * 2);
    for (const { e } of asked.slice(0, 60)) {
      const [there, here] = [scoreHead(resident.head, e), scoreHead(head, e)];
      for (const [i, { label, score }] of here.scores.entries()) {
        expect(there.scores[i]!.label).toBe(label);
        expect(Math.abs(there.scores[i]!.score - score)).toBeLessThan(1e-4);
      }
      expect(there.nearest!.label).toBe(here.nearest!.label);
      expect(Math.abs(there.nearest!.similarity - here.nearest!.similarity)).toBeLessThan(5e-5);
    }
    resident.release();
    expect(scoreHead(resident.head, asked[0]!.e).confidence).toBeCloseTo(scoreHead(head, asked[0]!.e).confidence, 4);
  });
});
