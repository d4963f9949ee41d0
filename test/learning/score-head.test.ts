/** Scoring against the plain sum that it stands for, at every remainder of the rows that are summed at a time. */
import { describe, expect, it } from 'vitest';
import type { Head, HeadComponent } from '../../shared/head.ts';
import { dotRows } from '../../functions/learning/dot-rows.ts';
import { transformFeature } from '../../functions/learning/features.ts';
import { nearestSupport, rawScores } from '../../functions/learning/score-head.ts';

const wave = (i: number): number => Math.sin(i * 12.9898) * 0.5;
const matrix = (rows: number, d: number): Float32Array => Float32Array.from({ length: rows * d }, (_, i) => wave(i + 1));
const plain = (w: Float32Array, x: ArrayLike<number>, r: number): number => Array.from(x).reduce((sum, v, i) => sum + w[r * x.length + i]! * v, 0);

describe('products of rows', () => {
  it.each([0, 1, 2, 7, 8, 9, 15, 16, 17, 100])('are the plain sums for %i rows', (rows) => {
    for (const d of [1, 3, 4, 5, 384, 1_283]) {
      const w = matrix(rows, d);
      const x = Float64Array.from({ length: d }, (_, i) => wave(7 * i));
      const given = dotRows(w, x, rows);
      expect(given).toHaveLength(rows);
      for (let r = 0; r < rows; r++) expect(Math.abs(given[r]! - plain(w, x, r))).toBeLessThan(1e-10);
    }
  });
});

it('scores and nearest examples follow their formulas', () => {
  const [labels, d] = [19, 50];
  const raw = Float32Array.from({ length: d }, (_, i) => Math.abs(wave(3 * i)));
  const component = (name: string, mix: number, transform: 'l2' | 'sqrt_l2'): HeadComponent => {
    const center = Float32Array.from({ length: d }, (_, i) => 0.01 * wave(i));
    const bias = Float32Array.from({ length: labels }, (_, c) => wave(c));
    return { embedding: 'base', name, transform, dimension: d, kernel: null, center, weight: matrix(labels, d), bias, mix };
  };
  const parts = [component('ridge', 0.7, 'sqrt_l2'), component('other', 0.3, 'l2')];
  const scores = rawScores({ components: parts, labels: { length: labels }, support: null }, { base: raw, tuned: null });
  for (let c = 0; c < labels; c++) {
    const expected = parts.reduce((sum, k) => sum + k.mix * (k.bias[c]! + plain(k.weight, transformFeature(raw, k.transform, k.center), c)), 0);
    expect(Math.abs(scores[c]! - expected)).toBeLessThan(1e-9);
  }
  const rows = matrix(21, d);
  const support: Head['support'] = {
    embedding: 'base',
    transform: 'l2',
    dimension: d,
    center: new Float32Array(d),
    rows,
    labelOf: new Int32Array(21),
    basis: null,
    factor: new Float32Array(21 * 21),
  };
  const x = transformFeature(raw, 'l2', null);
  const products = Array.from({ length: 21 }, (_, r) => plain(rows, x, r));
  const near = nearestSupport({ support }, { base: raw, tuned: null });
  expect(near?.row).toBe(products.indexOf(Math.max(...products)));
  expect(near?.similarity).toBeCloseTo(Math.max(...products), 9);
});
