/** Rows in the wasm memory: the kernel beside the plain loops, an allocator that never mixes two heads, and answers that stay the same. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Head } from '../../shared/head.ts';
import { dotRows } from '../../functions/learning/dot-rows.ts';
import { transformFeature } from '../../functions/learning/features.ts';
import { largestFirst } from '../../functions/learning/order.ts';
import { placeOf } from '../../functions/learning/placed.ts';
import { placeHead } from '../../functions/learning/resident-head.ts';
import { RowMemory, type PlacedRows } from '../../functions/learning/row-memory.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';

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
      const placed = memory.place(w)!;
      expect(placeOf(placed.values)?.multiply(x, rows, new Float64Array(rows))).toBe(true);
      const [fast, plain] = [dotRows(placed.values, x, rows), dotRows(w, x, rows)];
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
      const feature = placeOf(memory.place(center)!.values)!.features(raw, transform)!;
      const plain = transformFeature(raw, transform, center);
      for (let i = 0; i < d; i++) expect(Math.abs(feature.x[i]! - plain[i]!)).toBeLessThan(1e-6);
      expect(Math.abs(feature.squares - plain.reduce((sum, v) => sum + v * v, 0))).toBeLessThan(1e-5);
    }
  });

  it('leaves what a float cannot hold to the plain loop', () => {
    const place = placeOf(new RowMemory(wasm, PAGE).place(new Float32Array(9))!.values)!;
    for (const value of [Number.NaN, Infinity, -Infinity, 1e30, 1e-30, 0]) expect(place.features(new Float32Array(9).fill(value), 'l2')).toBeNull();
    expect(place.features(new Float32Array(8).fill(1), 'l2')).toBeNull();
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

describe('a head in the memory', () => {
  const [labels, d] = [37, 205];
  const center = waves(d, 11).map((v) => v * 0.01);
  const component = (name: string, mix: number) =>
    ({
      embedding: 'base',
      name,
      transform: 'sqrt_l2',
      dimension: d,
      kernel: null,
      center: center.slice(),
      weight: waves(labels * d, 1),
      bias: waves(labels, 2),
      mix,
    }) as const;
  const head: Head = {
    labels: Array.from({ length: labels }, (_, c) => `label ${c}`),
    task: 'single_label',
    components: [
      component('ridge', 0.7),
      { ...component('kernel_ridge', 0.5), kernel: { power: 4 }, weight: waves(labels * 50, 5) },
      component('whitened_ridge', 0.4),
      { ...component('names', 0.3), embedding: 'tuned', transform: 'l2' },
    ],
    temperature: 0.3,
    openSet: { threshold: 0, falseRejectRate: 0.05, bestWeight: 0.5, varianceWeight: 0.1 },
    support: {
      embedding: 'base',
      transform: 'sqrt_l2',
      dimension: d,
      center: center.slice(),
      rows: waves(50 * d, 9),
      labelOf: Int32Array.from({ length: 50 }, (_, i) => i % labels),
      factor: waves(50 * 50, 6).map((v) => v / 10),
    },
  };
  const e = { base: waves(d, 3).map(Math.abs), tuned: waves(d, 4) };

  function close(a: ReturnType<typeof scoreHead>, b: ReturnType<typeof scoreHead>): void {
    expect(a.scores.map((s) => s.label)).toEqual(b.scores.map((s) => s.label));
    for (const [i, s] of a.scores.entries()) expect(Math.abs(s.score - b.scores[i]!.score)).toBeLessThan(1e-5);
    expect({ ...a, scores: [], confidence: 0, nearest: a.nearest?.label }).toEqual({ ...b, scores: [], confidence: 0, nearest: b.nearest?.label });
    expect(Math.abs(a.nearest!.similarity - b.nearest!.similarity)).toBeLessThan(1e-5);
  }

  it('answers what it answers in the heap, whole and the first few, also after it was released', () => {
    const memory = new RowMemory(wasm, 64 * PAGE);
    const resident = placeHead(head, memory)!;
    expect(placeOf(resident.head.components[0]!.weight)).toBeDefined();
    const plain = scoreHead(head, e);
    close(scoreHead(resident.head, e), plain);
    close(scoreHead(resident.head, e, 3), { ...plain, scores: plain.scores.slice(0, 3) });
    const several = { ...head, task: 'multi_label' } as const;
    expect(scoreHead(several, e, 1).labels).toEqual(scoreHead(several, e).labels);
    expect(scoreHead(several, e).labels.length).toBeGreaterThan(1);
    resident.release();
    expect([resident.placedBytes, memory.usedBytes]).toEqual([0, 0]);
    // Another head moves in: who still holds the first one must not read the second.
    placeHead({ ...head, components: [{ ...component('ridge', 1), weight: new Float32Array(labels * d).fill(9) }] }, memory);
    close(scoreHead(resident.head, e), plain);
  });

  it('shares equal centres and leaves nothing behind when it does not fit', () => {
    const memory = new RowMemory(wasm, PAGE);
    expect(placeHead(head, memory) === null).toBe(true);
    expect(memory.usedBytes).toBe(0);
    const wide = placeHead(head, new RowMemory(wasm, 64 * PAGE))!;
    expect(wide.head.support!.center).toBe(wide.head.components[0]!.center);
  });

  it('refuses an embedding of the wrong length or with a value that is no number in the same words', () => {
    const resident = placeHead(head, new RowMemory(wasm, 64 * PAGE))!.head;
    for (const base of [new Float32Array(d - 1), e.base.map((v, i) => (i === 5 ? Number.NaN : v))])
      expect(() => scoreHead(resident, { ...e, base })).toThrow(
        expect.objectContaining({ message: messageOf(() => scoreHead(head, { ...e, base })) }) as Error,
      );
  });

  function messageOf(work: () => unknown): string {
    try {
      work();
    } catch (error) {
      return (error as Error).message;
    }
    return 'nothing was thrown';
  }
});
