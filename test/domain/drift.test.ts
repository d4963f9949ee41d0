/** Drift: how often traffic like the enrolled examples alarms (rarely), and whether a real shift is seen (at once), in seeded worlds. */
import { describe, expect, it } from 'vitest';
import { judgeWindow, stabilityIndex, type Baseline, type DriftCause, type Judgement } from '../../functions/domain/drift.ts';
import { driftReference, featureShift, type DriftReference } from '../../functions/domain/drift-reference.ts';
import { addToMoments, joinMoments, noMoments, type Moments } from '../../functions/domain/moments.ts';
import { normal, seededRandom, type Random } from '../../shared/statistics.ts';

type World = { readonly d: number; readonly k: number; readonly each: number; readonly decay: number };
const WORLDS: readonly (World & { name: string })[] = [
  { name: 'two labels with three examples in four dimensions', d: 4, k: 2, each: 3, decay: 1 },
  { name: 'three labels with ten examples', d: 16, k: 3, each: 10, decay: 0.8 },
  { name: 'five labels with twenty examples, most of the spread in few directions', d: 64, k: 5, each: 20, decay: 0.9 },
];
const N = 100;

/** Labels that overlap a little; `draw` may push inputs away along the first direction, in standard deviations. */
function build({ d, k, each, decay }: World, random: Random) {
  const scale = Array.from({ length: d }, (_, i) => decay ** i);
  const centers = Array.from({ length: k }, () => scale.map((s) => 2.5 * s * normal(random)));
  const draw = (c: number, push = 0) => Float64Array.from(scale, (s, i) => centers[c]![i]! + s * normal(random) + (i === 0 ? push : 0));
  const nearest = (x: Float64Array): string => {
    const apart = centers.map((center) => center.reduce((sum, v, i) => sum + (x[i]! - v) ** 2, 0));
    return `l-${apart.indexOf(Math.min(...apart))}`;
  };
  const rows = Array.from({ length: k * each }, (_, i) => ({ group: `l-${i % k}`, x: draw(i % k) }));
  const enrolled = Object.fromEntries(centers.map((_, c) => [`l-${c}`, each]));
  /** A window with a mix of its own: the first labels come more often. */
  const window = (push = 0, mix = (r: number) => r ** 1.5, unknownRate = 0.05) => {
    let moments = noMoments(d);
    const labels: Record<string, number> = {};
    let unknown = 0;
    for (let i = 0; i < N; i++) {
      const x = draw(Math.floor(mix(random()) * k), push);
      moments = addToMoments(moments, x);
      labels[nearest(x)] = (labels[nearest(x)] ?? 0) + 1;
      unknown += random() < unknownRate ? 1 : 0;
    }
    return { mean: moments.mean, labels, unknown, predictions: N };
  };
  return { rows, enrolled, window, reference: driftReference(rows, random) };
}

function judge(
  world: ReturnType<typeof build>,
  window: ReturnType<ReturnType<typeof build>['window']>,
  before: { causes: readonly DriftCause[]; baseline: Baseline | null },
  random: Random,
): Judgement {
  const { reference, enrolled } = world;
  return judgeWindow(window, { reference, enrolled, falseRejectRate: 0.05, several: false }, before, random);
}

describe('moments', () => {
  it('are the same one by one and in parts as at once', () => {
    const random = seededRandom(2);
    const xs = Array.from({ length: 50 }, () => Float64Array.from({ length: 3 }, () => 5 + normal(random)));
    const of = (some: Float64Array[]) => some.reduce<Moments>((m, x) => addToMoments(m, x), noMoments(3));
    const whole = of(xs);
    const parts = joinMoments(joinMoments(noMoments(3), of(xs.slice(0, 7))), of(xs.slice(7)));
    const mean = [0, 1, 2].map((i) => xs.reduce((sum, x) => sum + x[i]!, 0) / 50);
    const squares = xs.reduce((sum, x) => sum + x.reduce((s, v, i) => s + (v - mean[i]!) ** 2, 0), 0);
    for (const m of [whole, parts]) {
      expect(m.n).toBe(50);
      expect(m.squares).toBeCloseTo(squares, 9);
      for (const [i, v] of mean.entries()) expect(m.mean[i]).toBeCloseTo(v, 12);
    }
  });
});

describe('the reference', () => {
  it('says nothing while no label has examples to compare', () => {
    const rows = Array.from({ length: 9 }, (_, i) => ({ group: `l-${i}`, x: Float64Array.of(i, 1) }));
    expect(driftReference(rows, seededRandom(1))).toBeNull();
    expect(driftReference(Array(9).fill({ group: 'one', x: Float64Array.of(1, 1) }), seededRandom(1))).toBeNull();
  });

  it('takes no notice of another mix of labels, and none of a label without examples', () => {
    const world = build(WORLDS[1]!, seededRandom(4));
    const skewed = world.window(0, () => 0);
    const labels = new Map(Object.entries(skewed.labels));
    expect(featureShift({ mean: skewed.mean, labels }, world.reference!)!.shift).toBeLessThan(world.reference!.alarm);
    expect(featureShift({ mean: skewed.mean, labels: new Map([['new', N]]) }, world.reference!)).toBeNull();
  });
});

describe('false alarms', () => {
  it.each(WORLDS)('are rare over many windows of many classifiers: $name', (spec) => {
    const random = seededRandom(21);
    const [classifiers, windows] = [50, 20];
    const alarms: Record<DriftCause, number> = { features: 0, labels: 0, unknown: 0 };
    let raised = 0;
    for (let c = 0; c < classifiers; c++) {
      const world = build(spec, random);
      let before: { causes: readonly DriftCause[]; baseline: Baseline | null } = { causes: [], baseline: null };
      for (let t = 0; t < windows; t++) {
        const now = judge(world, world.window(), before, random);
        for (const cause of now.causes) alarms[cause]++;
        raised += now.causes.some((cause) => !before.causes.includes(cause)) ? 1 : 0;
        before = now;
      }
    }
    // 1,000 windows of each world; one in a thousand is meant for each cause.
    const share = (count: number) => count / (classifiers * windows);
    expect(share(alarms.features)).toBeLessThan(0.01);
    expect(share(alarms.labels)).toBeLessThan(0.01);
    expect(share(alarms.unknown)).toBeLessThan(0.01);
    expect(share(raised)).toBeLessThan(0.01);
  });
});

describe('real drift', () => {
  it.each(WORLDS.slice(1))('of the inputs is seen in the first window: $name', (spec) => {
    const random = seededRandom(33);
    let seen = 0;
    for (let c = 0; c < 30; c++) {
      const world = build(spec, random);
      const { causes, figures } = judge(world, world.window(2), { causes: [], baseline: null }, random);
      seen += causes.includes('features') ? 1 : 0;
      expect(figures.features!.shift).toBeGreaterThan(1);
    }
    expect(seen).toBeGreaterThanOrEqual(29);
  });

  it('of the mix and of the share of unknown inputs is seen, each by its own cause', () => {
    const random = seededRandom(8);
    const world = build(WORLDS[1]!, random);
    const first = judge(world, world.window(), { causes: [], baseline: null }, random);
    expect(first.figures.labels).toMatchObject({ reference: 'enrolled', threshold: null });
    const same = judge(world, world.window(), first, random);
    expect(same.causes).toEqual([]);
    expect(same.figures.labels.reference).toBe('traffic');
    expect(
      judge(
        world,
        world.window(0, (r) => 1 - r ** 4 * 0.999),
        same,
        random,
      ).causes,
    ).toEqual(['labels']);
    const strange = judge(world, world.window(0, undefined, 0.5), same, random);
    expect(strange.causes).toEqual(['unknown']);
    expect(strange.figures.unknown!.share).toBeGreaterThan(strange.figures.unknown!.threshold);
  });

  it('lasts until a window is well within the normal, and is no normal itself', () => {
    const random = seededRandom(9);
    const world = build(WORLDS[1]!, random);
    const { alarm, calm } = world.reference!;
    const drifted = judge(world, world.window(2), { causes: [], baseline: null }, random);
    expect(drifted).toMatchObject({ causes: ['features'], baseline: null });
    // The same window judged by a bar just above it: over what is calm, under what is alarming.
    const edge: DriftReference = { ...world.reference!, alarm: drifted.figures.features!.shift * 1.01, calm };
    expect(alarm).toBeGreaterThan(calm);
    const window = world.window(2);
    const on = { reference: { ...edge, alarm: Infinity }, enrolled: world.enrolled, falseRejectRate: null, several: false };
    expect(judgeWindow(window, on, drifted, random).causes).toEqual(['features']);
    expect(judgeWindow(window, on, { causes: [], baseline: null }, random).causes).toEqual([]);
    const back = judge(world, world.window(), drifted, random);
    expect(back.causes).toEqual([]);
    expect(back.baseline?.predictions).toBe(N);
  });
});

it('the stability index is 0 for the same mix and the textbook sum otherwise', () => {
  expect(stabilityIndex({ a: 30, b: 70 }, { a: 30, b: 70 })).toBe(0);
  const big = 1e9;
  const expected = 0.2 * Math.log(0.5 / 0.3) + -0.2 * Math.log(0.5 / 0.7);
  expect(stabilityIndex({ a: 0.5 * big, b: 0.5 * big }, { a: 0.3 * big, b: 0.7 * big })).toBeCloseTo(expected, 6);
});
