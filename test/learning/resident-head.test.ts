/** A head whose rows lie in the wasm memory answers what the same head answers in the heap: how closely, and that nothing of it is another's. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { Head } from '../../shared/head.ts';
import { decodeHead, encodeHead } from '../../shared/head-file.ts';
import { normal, seededRandom } from '../../shared/statistics.ts';
import { normaliseInPlace } from '../../functions/learning/features.ts';
import { placesOf } from '../../functions/learning/placed.ts';
import { placeHead } from '../../functions/learning/resident-head.ts';
import { RowMemory } from '../../functions/learning/row-memory.ts';
import { knownness, scoreHead } from '../../functions/learning/score-head.ts';
import { solveHead } from '../../functions/learning/solve-head.ts';

const wasm = new WebAssembly.Module(new Uint8Array(readFileSync(join(import.meta.dirname, '../../functions/learning/simd/dot.wasm'))));
const PAGE = 65_536;
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const wave = (i: number): number => Math.sin(i * 12.9898) * 0.5;
const waves = (n: number, by: number): Float32Array => Float32Array.from({ length: n }, (_, i) => wave(by * i + 1));

describe('a head in the memory', () => {
  const [labels, d] = [37, 205];
  const center = waves(d, 11).map((v) => v * 0.01);
  const unitRows = (rows: number): Float32Array => {
    const all = waves(rows * d, 9);
    for (let r = 0; r < rows; r++) normaliseInPlace(all, r * d, d);
    return all;
  };
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
    standardisation: null,
    openSet: { threshold: 0, falseRejectRate: 0.05, bestWeight: 0.5, varianceWeight: 0.1 },
    support: {
      embedding: 'base',
      transform: 'sqrt_l2',
      dimension: d,
      center: center.slice(),
      rows: unitRows(50),
      labelOf: Int32Array.from({ length: 50 }, (_, i) => i % labels),
      basis: null,
      factor: waves(50 * 50, 6).map((v) => v / 10),
    },
  };
  const e = { base: waves(d, 3).map(Math.abs), tuned: waves(d, 4) };

  function close(a: ReturnType<typeof scoreHead>, b: ReturnType<typeof scoreHead>): void {
    expect(a.scores.map((s) => s.label)).toEqual(b.scores.map((s) => s.label));
    for (const [i, s] of a.scores.entries()) expect(Math.abs(s.score - b.scores[i]!.score)).toBeLessThan(1e-4);
    expect({ ...a, scores: [], confidence: 0, nearest: a.nearest?.label }).toEqual({ ...b, scores: [], confidence: 0, nearest: b.nearest?.label });
    expect(Math.abs(a.nearest!.similarity - b.nearest!.similarity)).toBeLessThan(5e-5);
  }

  it('answers what it answers in the heap, whole and the first few, also after it was released', () => {
    const memory = new RowMemory(wasm, 64 * PAGE);
    const resident = placeHead(head, memory)!;
    expect(resident.head.components.map((c) => placesOf(c)!.weight!.bytes > 0)).toEqual([true, true, true, true]);
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

describe('a solved head in the memory', () => {
  const D = 96;
  /** Rows of `classes` about their means, all of them within `cone` of one direction: the less, the larger the weights that tell them apart. */
  function drawn(classes: number, cone: number, seed: number): (c: number) => Float32Array {
    const random = seededRandom(seed);
    const means = Array.from({ length: classes }, () => Float32Array.from({ length: D }, () => normal(random)));
    return (c) => Float32Array.from({ length: D }, (_, i) => 1 - cone + cone * (means[c]![i]! + normal(random)));
  }

  function solved(classes: number, each: number, cone: number): { head: Head; asked: Float32Array[] } {
    const draw = drawn(classes, cone, classes + each);
    const labels = Array.from({ length: classes }, (_, c) => `label ${c}`);
    const examples = labels.flatMap((_, c) =>
      Array.from({ length: each }, (_v, i) => ({ id: `${c}-${i}`, labelsOf: [c], base: draw(c), tuned: null })),
    );
    const { head } = solveHead({
      labels,
      task: 'single_label',
      transform: 'l2',
      dimension: D,
      examples,
      names: labels.map(() => null),
      background: { base: [], tuned: [] },
      tunedMix: 0,
      trainedTemperature: null,
      falseRejectRate: 0.05,
    })!;
    const strangers = drawn(classes, cone, 7);
    return { head, asked: Array.from({ length: 400 }, (_, i) => (i % 2 === 0 ? draw : strangers)(i % classes)) };
  }

  it.each([
    { classes: 3, each: 2, cone: 1 },
    { classes: 10, each: 10, cone: 1 },
    { classes: 10, each: 70, cone: 1 },
    { classes: 4, each: 6, cone: 0.5 },
    { classes: 10, each: 10, cone: 0.2 },
    { classes: 10, each: 30, cone: 0.05 },
  ])(
    'of $classes classes with $each examples in a cone of $cone moves no probability by 1e-4 and no verdict that is not at the margin',
    ({ classes, each, cone }) => {
      const { head, asked } = solved(classes, each, cone);
      // Where examples are all but the same, w is 100, and so much comes from single precision itself.
      const most = Math.max(5e-4, 2e-5 * head.openSet!.varianceWeight);
      const resident = placeHead(head, new RowMemory(wasm, 64 * PAGE))!;
      for (const base of asked) {
        const e = { base, tuned: null };
        const [plain, placed] = [scoreHead(head, e), scoreHead(resident.head, e)];
        const at = new Map(plain.scores.map(({ label, score }) => [label, score]));
        for (const { label, score } of placed.scores) expect(Math.abs(score - at.get(label)!)).toBeLessThan(1e-4);
        const margin = knownness(head, head.openSet!, e) - head.openSet!.threshold;
        expect(Math.abs(knownness(resident.head, head.openSet!, e) - head.openSet!.threshold - margin)).toBeLessThan(most);
        if (Math.abs(margin) > most) expect(placed.unknown).toBe(plain.unknown);
      }
    },
  );

  it('keeps its examples as shorts where they are spread, as floats where they are not, and answers by the plain loops where these would show', () => {
    const made = [1, 0.2, 0.05].map((cone) => {
      const { head, asked } = solved(10, 30, cone);
      const memory = new RowMemory(wasm, 64 * PAGE);
      const resident = placeHead(head, memory)!;
      const e = { base: asked[0]!, tuned: null };
      expect(memory.usedBytes).toBe(resident.placedBytes);
      return { bytes: memory.usedBytes / 4 / (300 * D), same: scoreHead(head, e).confidence === scoreHead(resident.head, e).confidence };
    });
    const factor = 300 / D / 2;
    expect(made[0]!.bytes).toBeLessThan(0.75 + factor);
    expect(made[1]!.bytes).toBeGreaterThan(1 + factor);
    expect(made[2]!.bytes).toBeGreaterThan(1 + 2 * factor);
    expect(made.map((m) => m.same)).toEqual([false, false, true]);
  });

  it('leaves nothing of its file in the heap', async () => {
    const memory = new RowMemory(wasm, 64 * PAGE);
    const place = () => {
      const read = decodeHead(encodeHead(solved(10, 4, 1).head));
      const arrays = [read.support!.rows, read.support!.center, read.components[0]!.weight];
      return { resident: placeHead(read, memory)!, buffers: arrays.map((v) => new WeakRef(v.buffer)) };
    };
    const { resident, buffers } = place();
    // What a reference was made of stays until the turn ends.
    await new Promise((resolve) => setTimeout(resolve));
    collect();
    expect(buffers.map((of) => of.deref()?.byteLength)).toEqual([undefined, undefined, undefined]);
    expect(resident.placedBytes).toBe(memory.usedBytes);
  });
});
