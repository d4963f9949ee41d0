/** Rows in the wasm memory: the kernel beside the plain loops, and an allocator that never mixes two heads. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dotRows } from '../../functions/learning/dot-rows.ts';
import { transformFeature } from '../../functions/learning/features.ts';
import { variance } from '../../functions/learning/novelty.ts';
import { largestFirst } from '../../functions/learning/order.ts';
import type { PlacedRows } from '../../functions/learning/placed-rows.ts';
import { RowMemory } from '../../functions/learning/row-memory.ts';

const wasm = new WebAssembly.Module(new Uint8Array(readFileSync(join(import.meta.dirname, '../../functions/learning/simd/dot.wasm'))));
const PAGE = 65_536;
const wave = (i: number): number => Math.sin(i * 12.9898) * 0.5;
const waves = (n: number, by: number): Float32Array => Float32Array.from({ length: n }, (_, i) => wave(by * i + 1));

describe('the kernel', () => {
  it('is a module that wants a memory and nothing else', () => {
    expect(WebAssembly.Module.imports(wasm)).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }]);
  });

  it.each([1, 2, 3, 4, 5, 7, 8, 9, 512])('gives the products of %i rows of the plain loop', (rows) => {
    const memory = new RowMemory(wasm, 64 * PAGE);
    for (const d of [1, 3, 7, 8, 9, 15, 384, 1_283]) {
      const w = waves(rows * d, 1);
      const x = Float64Array.from(waves(d, 3));
      const placed = memory.place(w, 'floats', { rows, columns: d })!;
      const fast = new Float64Array(rows);
      expect(placed.multiply(x, rows, fast)).toBe(true);
      const plain = dotRows(w, x, rows);
      const size = Math.sqrt(d) * 0.35;
      for (let r = 0; r < rows; r++) expect(Math.abs(fast[r]! - plain[r]!)).toBeLessThan(1e-5 * Math.max(1, size));
      memory.free(placed);
    }
  });

  it.each(['l2', 'sqrt_l2'] as const)('gives the features of the plain loop (%s)', (transform) => {
    const memory = new RowMemory(wasm, 64 * PAGE);
    for (const d of [1, 5, 8, 13, 384, 1_280, 4_096]) {
      const center = waves(d, 5).map((v) => v * 0.02);
      const raw = waves(d, 7).map((v) => v * 40 + 1);
      const feature = memory.place(center)!.features(raw, transform)!;
      const plain = transformFeature(raw, transform, center);
      for (let i = 0; i < d; i++) expect(Math.abs(feature.x[i]! - plain[i]!)).toBeLessThan(1e-6);
      expect(Math.abs(feature.squares - plain.reduce((sum, v) => sum + v * v, 0))).toBeLessThan(1e-5);
    }
  });

  it('leaves what a float cannot hold to the plain loop', () => {
    const place = new RowMemory(wasm, PAGE).place(new Float32Array(9))!;
    for (const value of [Number.NaN, Infinity, -Infinity, 1e30, 1e-30, 0]) expect(place.features(new Float32Array(9).fill(value), 'l2')).toBeNull();
    expect(place.features(new Float32Array(8).fill(1), 'l2')).toBeNull();
  });
});

describe('rows of shorts', () => {
  /** Products by the kernel, by the plain loop, and how far apart roundings of half a step each can bring them at the very most. */
  function products(w: Float32Array, x: Float32Array, rows: number): { fast: Float64Array; plain: Float64Array; most: (row: number) => number } {
    const d = x.length;
    const memory = new RowMemory(wasm, 256 * PAGE);
    const placed = memory.place(w, 'shorts', { rows, columns: d })!;
    const query = memory.place(x, 'shorts', { rows: 1, columns: d })!;
    const fast = new Float64Array(rows);
    expect(placed.multiply(x, rows, fast)).toBe(true);
    const sum = (values: Float32Array): number => values.reduce((a, v) => a + Math.abs(v), 0);
    const stepOf = (row: Float32Array): number => memory.place(row, 'shorts', { rows: 1, columns: d })!.step;
    const most = (r: number): number => {
      const row = w.subarray(r * d, (r + 1) * d);
      const [a, b] = [stepOf(row) / 2, query.step / 2];
      return a * sum(x) + b * sum(row) + a * b * d + 1e-5 * Math.sqrt(dotRows(row, row, 1)[0]! * dotRows(x, x, 1)[0]!);
    };
    return { fast, plain: dotRows(w, x, rows), most };
  }

  it.each([1, 3, 4, 5, 8, 513])('give the products of %i rows of the plain loop', (rows) => {
    for (const d of [1, 7, 15, 16, 17, 384, 1_283]) {
      const { fast, plain, most } = products(waves(rows * d, 1), waves(d, 3), rows);
      for (let r = 0; r < rows; r++) expect(Math.abs(fast[r]! - plain[r]!)).toBeLessThanOrEqual(most(r));
    }
  });

  it('never overflow, however the values of rows as long as can be are spread', () => {
    const value = fc.oneof(
      fc.constantFrom(0, 1, -1, 300),
      fc.integer({ min: -1_000, max: 1_000 }).map((v) => v / 1_000),
    );
    // A pattern that repeats with the lanes puts all of a row's length into one of them.
    const pattern = fc.array(value, { minLength: 1, maxLength: 32 });
    fc.assert(
      fc.property(pattern, pattern, fc.constantFrom(16, 128, 1_280, 4_096), fc.boolean(), (a, b, d, same) => {
        const w = Float32Array.from({ length: 5 * d }, (_, i) => a[i % a.length]!);
        const x = same ? w.slice(0, d) : Float32Array.from({ length: d }, (_, i) => b[i % b.length]!);
        const { fast, plain, most } = products(w, x, 5);
        for (let r = 0; r < 5; r++) expect(Math.abs(fast[r]! - plain[r]!)).toBeLessThanOrEqual(most(r));
      }),
      { numRuns: 50 },
    );
  });

  it('are read back to half a step, and the same after they were freed', () => {
    const memory = new RowMemory(wasm, 64 * PAGE);
    const [w, shape] = [waves(7 * 203, 1), { rows: 7, columns: 203 }];
    const placed = memory.place(w, 'shorts', shape)!;
    expect(placed.bytes).toBeLessThan(0.6 * w.byteLength);
    const read = placed.values;
    for (let i = 0; i < w.length; i++) expect(Math.abs(read[i]! - w[i]!)).toBeLessThanOrEqual(0.51 * placed.step);
    memory.free(placed);
    memory.place(new Float32Array(w.length).fill(9));
    expect(placed.values).toEqual(read);
    expect(placed.multiply(waves(203, 3), 7, new Float64Array(7))).toBe(false);
  });

  it('refuse what they cannot hold', () => {
    const memory = new RowMemory(wasm, 64 * PAGE);
    const shape = { rows: 2, columns: 20 };
    for (const value of [Number.NaN, Infinity, 1e30, 1e-30]) {
      const w = waves(40, 1);
      w[25] = value;
      if (value !== 1e-30) expect(memory.place(w, 'shorts', shape) === null).toBe(true);
      expect(
        memory.place(
          w.map((v, i) => (i < 20 ? v : value)),
          'shorts',
          shape,
        ) === null,
      ).toBe(true);
      const placed = memory.place(waves(40, 1), 'shorts', shape)!;
      expect(placed.multiply(new Float32Array(20).fill(value), 2, new Float64Array(2))).toBe(false);
      memory.free(placed);
    }
    expect(memory.usedBytes).toBe(0);
    const zeros = memory.place(new Float32Array(40), 'shorts', shape)!;
    const out = new Float64Array(2).fill(1);
    expect(zeros.multiply(waves(20, 1), 2, out)).toBe(true);
    expect([...out, ...zeros.values.slice(0, 3)]).toEqual([0, 0, 0, 0, 0]);
  });
});

describe('the lower half of a square', () => {
  it.each([1, 2, 3, 4, 5, 8, 9, 63, 512])('of side %i gives the variance of the plain loop and is read back', (side) => {
    const memory = new RowMemory(wasm, 64 * PAGE);
    const factor = waves(side * side, 1).map((v, i) => (i % side <= Math.floor(i / side) ? v / side : 0));
    const placed = memory.place(factor, 'lower', { rows: side, columns: side })!;
    const kernel = Float64Array.from(waves(side, 3), (v) => v + 0.5);
    // What was there before must not count.
    placed.features(new Float32Array(side), 'l2');
    const all = memory.place(new Float32Array(600).fill(7), 'floats', { rows: 1, columns: 600 })!;
    all.multiply(new Float32Array(600).fill(7), 1, new Float64Array(1));
    expect(1 - placed.lowerSquares(kernel)!).toBeCloseTo(variance(factor, kernel), 5);
    expect(placed.values).toEqual(factor);
    if (side > 16) expect(placed.bytes).toBeLessThan(0.6 * factor.byteLength);
    memory.free(placed);
    expect([placed.lowerSquares(kernel), placed.values]).toEqual([null, factor]);
  });
});

describe('kept rows', () => {
  it.each([1, 5, 48, 509, 512])('%i of them are compared with features in their directions as the plain loops do it', (m) => {
    const memory = new RowMemory(wasm, 64 * PAGE);
    const [d, width, scale] = [203, 24, 0.7];
    const center = memory.place(waves(d, 7).map((v) => v * 0.01))!;
    const basis = memory.place(
      waves(width * d, 2).map((v) => v * 0.1),
      'floats',
      { rows: width, columns: d },
    )!;
    const rows = memory.place(
      waves(m * width, 5).map((v) => v * 0.2),
      'floats',
      { rows: m, columns: width },
    )!;
    const weight = memory.place(waves(3 * m, 11), 'floats', { rows: 3, columns: m })!;
    const x = center.features(waves(d, 3), 'l2')!.x;
    const cosines = dotRows(rows.values, dotRows(basis.values, Float64Array.from(x), width), m).map((v) => v * scale);
    const seen = basis.project(x)!;
    const compared = rows.compare(seen, scale)!;
    const kernel = rows.kernelOf(compared, 4)!;
    expect(kernel.length).toBe(m);
    for (let r = 0; r < m; r++) expect(compared[r]).toBeCloseTo(cosines[r]!, 5);
    for (let r = 0; r < m; r++) expect(kernel[r]).toBeCloseTo(((1 + cosines[r]!) / 2) ** 4, 5);
    const products = new Float64Array(3);
    expect(weight.multiply(kernel, 3, products)).toBe(true);
    for (const [c, product] of dotRows(weight.values, Float64Array.from(kernel), 3).entries()) expect(products[c]).toBeCloseTo(product, 3);
    // Of another power the cosines are raised anew, and the features still lie where they lay.
    for (const [r, value] of rows.kernelOf(compared, 8)!.entries()) expect(value).toBeCloseTo(((1 + cosines[r]!) / 2) ** 8, 5);
    for (const [i, value] of basis.project(x)!.entries()) expect(value).toBeCloseTo(dotRows(basis.values, Float64Array.from(x), width)[i]!, 5);
  });

  it('answer nothing for cosines and features that are no longer there, or that are more than there is room for', () => {
    const memory = new RowMemory(wasm, 64 * PAGE);
    const rows = memory.place(waves(513 * 16, 5), 'floats', { rows: 513, columns: 16 })!;
    const few = memory.place(waves(9 * 16, 5), 'floats', { rows: 9, columns: 16 })!;
    expect([rows.compare(waves(16, 1), 1), few.project(waves(16, 1)), few.compare(waves(15, 1), 1)]).toEqual([null, null, null]);
    const first = few.compare(waves(16, 1), 1)!;
    few.compare(waves(16, 2), 1);
    expect(few.kernelOf(first, 4)).toBeNull();
    memory.free(few);
    expect([few.compare(waves(16, 1), 1), few.project(waves(16, 1))]).toEqual([null, null]);
  });
});

describe('the memory', () => {
  it('keeps every block as it was written, whatever is placed, freed and grown beside it, and no larger than it may be', () => {
    const sizes = fc.array(fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 1, max: 60_000 }) }, fc.constant(-1)), { maxLength: 80 });
    fc.assert(
      fc.property(sizes, fc.infiniteStream(fc.nat()), (steps, picks) => {
        const memory = new RowMemory(wasm, 16 * PAGE);
        const held: { rows: PlacedRows; first: number }[] = [];
        for (const [n, step] of steps.entries()) {
          if (step > 0) {
            const rows = memory.place(new Float32Array(step).fill(n));
            if (rows) held.push({ rows, first: n });
          } else if (held.length > 0) {
            const [gone] = held.splice(picks.next().value! % held.length, 1);
            memory.free(gone!.rows);
            memory.free(gone!.rows);
            expect(gone!.rows.values.every((v) => v === gone!.first)).toBe(true);
          }
          expect(memory.bytes).toBeLessThanOrEqual(17 * PAGE);
        }
        for (const { rows, first } of held) expect(rows.values.every((v) => v === first)).toBe(true);
        for (const { rows } of held) memory.free(rows);
        expect(memory.usedBytes).toBe(0);
        // Nothing was lost between the blocks: all of it fits in one.
        expect(memory.place(new Float32Array((16 * PAGE) / 4))).not.toBeNull();
      }),
      { numRuns: 60 },
    );
  });
});

describe('the order of classes', () => {
  const slow = (p: Float64Array) => [...p.keys()].toSorted((a, b) => p[b]! - p[a]! || a - b);

  it('is that of a sort by value, the lower index first among equals, for all and for the first few', () => {
    const value = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 0.25, 0.25 + 2 ** -54, 0.25 + 2 ** -50, 1));
    fc.assert(
      fc.property(fc.array(value, { maxLength: 300 }), fc.nat(320), (values, count) => {
        const p = Float64Array.from(values);
        expect(largestFirst(p)).toEqual(slow(p));
        expect(largestFirst(p, count)).toEqual(slow(p).slice(0, count));
      }),
    );
  });
});
