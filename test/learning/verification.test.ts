/** Verification: what is promised is kept, and what is extrapolated is not far off, over many seeded worlds with impostors of several kinds. */
import { describe, expect, it } from 'vitest';
import { seededRandom, type Random } from '../../shared/statistics.ts';
import { similarityToRows, verificationThreshold } from '../../functions/learning/verification.ts';

const normal = (random: Random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
/** A unit vector around `center` (zeros: anywhere). */
function unit(center: readonly number[], spread: number, random: Random): number[] {
  const x = center.map((c) => c + spread * normal(random));
  const norm = Math.hypot(...x);
  return x.map((v) => v / norm);
}

type World = { readonly name: string; readonly d: number; readonly impostor: (random: Random) => number[] };
const axis = (d: number, i: number) => Array.from({ length: d }, (_, j) => (j === i ? 1 : 0));
const WORLDS: readonly World[] = [
  { name: 'anywhere, 8 dimensions', d: 8, impostor: (r) => unit(Array(8).fill(0), 1, r) },
  { name: 'anywhere, 64 dimensions', d: 64, impostor: (r) => unit(Array(64).fill(0), 1, r) },
  { name: 'in clusters', d: 16, impostor: (r) => unit(axis(16, 1 + Math.floor(r() * 15)), 0.2, r) },
  { name: 'in a narrow cone, as vectors without a centre', d: 16, impostor: (r) => unit(Array(16).fill(1), 0.5, r) },
];

/** Share of fresh impostors, and of fresh inputs of the label, that pass; averaged over many tenants of this world. */
function measure(world: World, of: { impostors: number; examples: number; rate: number; tenants: number }) {
  const random = seededRandom(11);
  const genuine = axis(world.d, 0);
  const probes = 400;
  let [wrong, right] = [0, 0];
  const promised = new Set<boolean>();
  for (let tenant = 0; tenant < of.tenants; tenant++) {
    const rows = Array.from({ length: of.examples }, () => unit(genuine, 0.08, random));
    const similarity = (x: number[]) => similarityToRows(x, rows);
    const impostors = Float64Array.from({ length: of.impostors }, () => similarity(world.impostor(random)))
      .toSorted()
      .toReversed();
    const t = verificationThreshold(impostors, of.rate);
    promised.add(t.promised);
    for (let i = 0; i < probes; i++) {
      wrong += similarity(world.impostor(random)) > t.threshold ? 1 : 0;
      right += similarity(unit(genuine, 0.08, random)) > t.threshold ? 1 : 0;
    }
  }
  const n = of.tenants * probes;
  return { wrong: wrong / n, right: right / n, promised: [...promised] };
}

describe('similarity to the examples of a label', () => {
  it('is the cosine to one example, and the mean of the best three of many', () => {
    const x = [1, 0];
    expect(similarityToRows(x, [[0.6, 0.8]])).toBeCloseTo(0.6, 12);
    const rows = [0.1, 0.9, -1, 0.5, 0.7].map((c) => [c, Math.sqrt(1 - c * c)]);
    expect(similarityToRows(x, rows)).toBeCloseTo(0.7, 12);
    expect(similarityToRows(x, rows.slice(0, 2))).toBeCloseTo(0.5, 12);
  });
});

describe('the threshold', () => {
  it('is the impostor of that rank, while there is one', () => {
    const impostors = Array.from({ length: 99 }, (_, i) => 0.99 - i / 100);
    expect(verificationThreshold(impostors, 0.01)).toEqual({ threshold: 0.99, promised: true });
    expect(verificationThreshold(impostors, 0.05).threshold).toBeCloseTo(0.95, 12);
    expect(verificationThreshold(impostors, 0.0099).promised).toBe(false);
  });

  it('rises as the rate falls, below what can be counted too, and never passes 1', () => {
    const random = seededRandom(3);
    for (const m of [0, 1, 2, 5, 30, 300]) {
      const impostors = Float64Array.from({ length: m }, () => random() * 0.6)
        .toSorted()
        .toReversed();
      let last = -Infinity;
      for (const rate of [0.5, 0.2, 0.05, 0.01, 1e-3, 1e-4, 1e-6]) {
        const { threshold } = verificationThreshold(impostors, rate);
        expect(threshold).toBeGreaterThanOrEqual(last);
        expect(threshold).toBeLessThanOrEqual(1);
        last = threshold;
      }
    }
  });

  it('stays finite when an impostor is a copy of an example', () => {
    const { threshold, promised } = verificationThreshold([1, 0.3, 0.2, 0.1], 0.01);
    expect([threshold, promised]).toEqual([1, false]);
  });

  it.each(WORLDS)('keeps the promised rate: $name', (world) => {
    for (const examples of [1, 5]) {
      const { wrong, promised } = measure(world, { impostors: 199, examples, rate: 0.05, tenants: 250 });
      expect(promised).toEqual([true]);
      expect(wrong).toBeLessThan(0.055);
      expect(wrong).toBeGreaterThan(0.04);
    }
  });

  it.each(WORLDS)('keeps a rate that it cannot promise, too, and still lets the right ones in: $name', (world) => {
    for (const [impostors, rate] of [
      [20, 0.01],
      [60, 0.01],
      [199, 0.001],
    ] as const) {
      const { wrong, right, promised } = measure(world, { impostors, examples: 3, rate, tenants: 150 });
      expect(promised).toEqual([false]);
      expect(wrong).toBeLessThan(1.2 * rate);
      expect(right).toBeGreaterThan(0.5);
    }
  });

  it('asks for near identity when nobody is there to compare with', () => {
    const { threshold, promised } = verificationThreshold([], 0.01);
    expect(promised).toBe(false);
    expect(threshold).toBeGreaterThan(0.95);
    expect(threshold).toBeLessThan(0.99);
  });
});
