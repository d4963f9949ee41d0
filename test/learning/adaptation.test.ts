/** Adaptation without labels: gains where the domain has moved, refuses where it has not, where the classes are others, and where labels say no. */
import { describe, expect, it } from 'vitest';
import { coral, type Rows } from '../../functions/learning/adaptation/align.ts';
import { meanMargin } from '../../functions/learning/adaptation/belonging.ts';
import { decideAdaptation, inputsNeeded, type Decision } from '../../functions/learning/adaptation/decide.ts';
import { refusalOf, type AdaptationEvidence } from '../../functions/learning/adaptation/refusal.ts';
import { signTest } from '../../shared/statistics.ts';
import { scoresOf, solveAdapted } from '../../functions/learning/adaptation/solve-adapted.ts';
import { information, neighbourhoodDensity } from '../../functions/learning/adaptation/validators.ts';
import { argmax, transformFeature } from '../../functions/learning/features.ts';
import { solveHead, type SolveInput } from '../../functions/learning/solve-head.ts';
import type { Head, HeadComponent } from '../../shared/head.ts';
import { symmetricEigen } from '../../functions/learning/symmetric-eigen.ts';

const D = 40;
const K = 5;

/** Seeded normal numbers (Box & Muller 1958 over a linear congruential generator). */
function normal(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  const uniform = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 4_294_967_296;
  };
  for (let i = 0; i < 8; i++) uniform();
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

type Row = { base: Float32Array; tuned: null };
type World = { draw: (label: number, domain: 'source' | 'target') => Row; noise: () => Row };

/** Classes about random centres; the target is drawn elsewhere and stretched. */
function world(seed: number, moved = 1): World {
  const next = normal(seed);
  const vector = (scale: number): number[] => Array.from({ length: D }, () => scale * next());
  const middle = vector(1);
  const centres = Array.from({ length: K }, () => vector(0.45));
  const move = vector(1.3 * moved);
  const stretch = vector(0.35 * moved).map(Math.exp);
  return {
    draw: (label, domain) => ({
      base: Float32Array.from(middle, (m, j) => {
        const own = centres[label]![j]! + 0.6 * next();
        return m + (domain === 'source' ? own : own * stretch[j]! + move[j]!);
      }),
      tuned: null,
    }),
    noise: () => ({ base: Float32Array.from(vector(3)), tuned: null }),
  };
}

const spread = (count: number): number[] => Array.from({ length: count }, (_, i) => i % K);

function inputOf(w: World, each = 8): SolveInput {
  return {
    labels: ['a', 'b', 'c', 'd', 'e'],
    task: 'single_label',
    transform: 'l2',
    dimension: D,
    examples: spread(each * K).map((label, i) => ({ id: `ex_${1000 + i}`, labelsOf: [label], ...w.draw(label, 'source') })),
    names: [null, null, null, null, null],
    background: { base: [], tuned: [] },
    tunedMix: 0,
    trainedTemperature: null,
    falseRejectRate: 0.05,
  };
}

function accuracy(head: NonNullable<ReturnType<typeof solveHead>>['head'], rows: Row[], labels: number[]): number {
  const scores = scoresOf(head, rows);
  return labels.filter((c, i) => argmax(scores.subarray(i * K, (i + 1) * K)) === c).length / labels.length;
}

const mean = (rows: readonly { base: ArrayLike<number> }[], j: number): number => rows.reduce((sum, row) => sum + row.base[j]! / rows.length, 0);
const unlabelled = (rows: readonly unknown[]): null[] => rows.map(() => null);

describe('adaptation', () => {
  it('gains on a domain that has moved, without a label of it, and says what it rests on', () => {
    let [before, after, refused] = [0, 0, 0];
    for (let seed = 1; seed <= 8; seed++) {
      const w = world(seed);
      const input = inputOf(w);
      const target = spread(40).map((c) => w.draw(c, 'target'));
      const decision = decideAdaptation(input, target, unlabelled(target))!;
      expect(decision.evidence?.shift.chance).toBeLessThanOrEqual(0.01);
      const labels = spread(200);
      const held = labels.map((c) => w.draw(c, 'target'));
      const plain = accuracy(solveHead(input)!.head, held, labels);
      before += plain / 8;
      after += (decision.adapt ? accuracy(decision.solved.head, held, labels) : plain) / 8;
      if (!decision.adapt) {
        refused++;
        continue;
      }
      const { evidence, mix } = decision;
      expect(mix.centre + mix.coral + mix.self_training).toBeCloseTo(1, 12);
      expect(evidence.domain_distance.after).toBeLessThan(evidence.domain_distance.before);
      expect(evidence.candidates.map((c) => c.method)).toEqual(['centre', 'coral', 'self_training']);
    }
    expect(refused).toBeLessThanOrEqual(1);
    expect(after).toBeGreaterThan(before + 0.1);
  });

  it('refuses a target that is the source again, whatever its mix of labels', () => {
    let refused = 0;
    for (let seed = 1; seed <= 10; seed++) {
      const w = world(seed);
      const input = inputOf(w);
      for (const labels of [spread(40), spread(40).map(() => 2), spread(40).map((c) => (c < 2 ? c : 0))]) {
        const target = labels.map((c) => w.draw(c, 'source'));
        const decision = decideAdaptation(input, target, unlabelled(target))!;
        if (!decision.adapt && decision.reason === 'no_shift') refused++;
      }
    }
    expect(refused).toBeGreaterThanOrEqual(29);
  });

  it('refuses a target that shows one label only: its mean is that of the label', () => {
    let refused = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const w = world(seed);
      const target = spread(40).map(() => w.draw(3, 'target'));
      const decision = decideAdaptation(inputOf(w), target, unlabelled(target))!;
      if (!decision.adapt && ['too_few_labels', 'not_its_classes'].includes(decision.reason)) refused++;
    }
    expect(refused).toBeGreaterThanOrEqual(10);
  });

  it('refuses inputs that are of none of its classes', () => {
    for (let seed = 1; seed <= 8; seed++) {
      const w = world(seed);
      const target = spread(40).map(() => w.noise());
      const decision = decideAdaptation(inputOf(w), target, unlabelled(target))!;
      expect(decision).toMatchObject({ adapt: false });
      if (!decision.adapt) expect(decision.evidence).not.toBeNull();
    }
  });

  it('believes labels of the target more than everything else', () => {
    const w = world(3);
    const input = inputOf(w);
    const labels = spread(40);
    const target = labels.map((c) => w.draw(c, 'target'));
    const told = decideAdaptation(input, target, labels)!;
    expect(told.adapt).toBe(true);
    const { before, after } = told.evidence!;
    expect(after.labelled_accuracy!).toBeGreaterThan(before.labelled_accuracy!);
    // Somebody who says that the old answers were all right.
    const scores = scoresOf(solveHead(input)!.head, target);
    const old = target.map((_, i) => argmax(scores.subarray(i * K, (i + 1) * K)));
    expect(decideAdaptation(input, target, old)).toMatchObject({ adapt: false, reason: 'worse_on_labels' });
  });

  it('believes them when they show a gain that could not be seen without them', () => {
    // Two labels of five: mostly that is harmful, but not here, where the domain is far away.
    const w = world(9);
    const input = inputOf(w);
    const labels = spread(40).map((c) => c % 2);
    const target = labels.map((c) => w.draw(c, 'target'));
    expect(decideAdaptation(input, target, unlabelled(target))).toMatchObject({ adapt: false, reason: 'too_few_labels' });
    const told = decideAdaptation(input, target, labels)!;
    expect(told).toMatchObject({ adapt: true, evidence: { labelled: 40 } });
    expect(told.evidence!.labels!.won).toBeGreaterThan(told.evidence!.labels!.lost + 5);
    // Two labelled inputs are too few to overrule anything.
    const two = labels.map((c, i) => (i < 2 ? c : null));
    expect(decideAdaptation(input, target, two)).toMatchObject({ adapt: false, reason: 'too_few_labels', evidence: { labelled: 2 } });
  });

  it('tells targets of other classes from targets of its own', () => {
    let [apart, refused] = [0, 0];
    for (let seed = 1; seed <= 12; seed++) {
      const [w, other] = [world(seed), world(seed + 100)];
      const [own, strange] = [w, other].map((from) => spread(40).map((c) => from.draw(c, 'target'))) as [Row[], Row[]];
      const [mine, theirs] = [own, strange].map((target) => decideAdaptation(inputOf(w), target, unlabelled(target))!) as [Decision, Decision];
      if (mine.evidence!.belonging.log_odds > theirs.evidence!.belonging.log_odds + 2) apart++;
      if (!theirs.adapt) refused++;
    }
    expect(apart).toBe(12);
    expect(refused).toBeGreaterThanOrEqual(10);
  });

  it('refuses by each of its rules, in their order', () => {
    const w = world(3);
    const target = spread(40).map((c) => w.draw(c, 'target'));
    const good = decideAdaptation(inputOf(w), target, unlabelled(target))!.evidence!;
    const reasonOf = (change: Partial<AdaptationEvidence>): string | null => refusalOf({ ...good, ...change }, K)?.reason ?? null;
    expect(reasonOf({})).toBeNull();
    expect(reasonOf({ shift: { distance: 0.1, chance: 0.2 } })).toBe('no_shift');
    expect(reasonOf({ labels_answered: 2 })).toBe('too_few_labels');
    expect(reasonOf({ strangers: { before: 0.9, after: 0.8 } })).toBe('not_its_classes');
    expect(reasonOf({ belonging: { ...good.belonging, log_odds: -2 } })).toBe('not_its_classes');
    const less = { ...good.before, information: good.before.information - 0.11, neighbourhood_density: good.before.neighbourhood_density - 0.1 };
    expect(reasonOf({ after: less })).toBe('worse_without_labels');
    // A little less clear is what a temperature that knows the target brings.
    expect(reasonOf({ after: { ...less, information: good.before.information - 0.09 } })).toBeNull();
    const none = { shift: { distance: 0.1, chance: 0.2 } };
    expect(reasonOf({ ...none, labels: { won: 6, lost: 0, chance: signTest(6, 0) } })).toBeNull();
    expect(reasonOf({ ...none, labels: { won: 3, lost: 0, chance: signTest(3, 0) } })).toBe('no_shift');
    expect(reasonOf({ labels: { won: 1, lost: 2, chance: signTest(1, 2) } })).toBe('worse_on_labels');
  });

  it('says how many inputs it needs', () => {
    const w = world(1);
    const target = spread(11).map((c) => w.draw(c, 'target'));
    const decision = decideAdaptation(inputOf(w), target, unlabelled(target))!;
    expect(decision).toMatchObject({ adapt: false, reason: 'too_few_inputs' });
    if (!decision.adapt) expect(decision.detail).toContain(String(inputsNeeded(K)));
    expect(inputsNeeded(20)).toBe(40);
  });

  it('leaves several labels an example to others', () => {
    const w = world(1);
    const target = spread(20).map((c) => w.draw(c, 'target'));
    expect(decideAdaptation({ ...inputOf(w), task: 'multi_label' }, target, unlabelled(target))).toBeNull();
  });

  it('aligns the embeddings of a fine-tuned tail beside those of the backbone', () => {
    // The backbone sees nothing of the classes; the tail does, and moves with the domain.
    const [w, noise] = [world(8), world(80)];
    const both = (label: number, domain: 'source' | 'target') => ({ base: noise.draw(0, 'source').base, tuned: w.draw(label, domain).base });
    const examples = spread(40).map((label, i) => ({ id: `ex_${1000 + i}`, labelsOf: [label], ...both(label, 'source') }));
    const input: SolveInput = { ...inputOf(w), examples, tunedMix: 0.8 };
    const target = spread(40).map((c) => both(c, 'target'));
    const labels = spread(200);
    const held = labels.map((c) => both(c, 'target'));
    const right = (head: Head): number => {
      const scores = scoresOf(head, held);
      return labels.filter((c, i) => argmax(scores.subarray(i * K, (i + 1) * K)) === c).length / labels.length;
    };
    const plain = solveHead(input)!.head;
    const decision = decideAdaptation(input, target, unlabelled(target))!;
    expect(decision.adapt).toBe(true);
    if (!decision.adapt) return;
    const { head } = decision.solved;
    expect(head.components.map((c) => [c.embedding, Math.round(c.mix * 10) / 10])).toEqual([
      ['base', 0.2],
      ['tuned', 0.8],
    ]);
    expect(right(head)).toBeGreaterThan(right(plain) + 0.1);
    // An example from before the tail has no tuned embedding; it still speaks through the backbone.
    const some = { ...input, examples: examples.map((e, i) => (i < 5 ? { ...e, tuned: null } : e)) };
    expect(right(solveAdapted(some, target, decision.mix)!.head)).toBeGreaterThan(right(plain) + 0.1);
  });

  it('keeps what the names of labels say, about the centre of the target', () => {
    const next = normal(4);
    const positive = (row: Row): Row => ({ base: row.base.map((v) => Math.abs(v + 5)), tuned: null });
    const w = world(4);
    const draw = (c: number, domain: 'source' | 'target') => positive(w.draw(c, domain));
    const examples = spread(40).map((label, i) => ({ id: `ex_${1000 + i}`, labelsOf: [label], ...draw(label, 'source') }));
    const background = Array.from({ length: 40 }, () => Float32Array.from({ length: D }, () => 5 + next()));
    // A zero-shot row is what a network that knows the class would look for.
    const centres = spread(K).map((c) =>
      Float32Array.from({ length: D }, (_, j) =>
        mean(
          examples.filter((e) => e.labelsOf[0] === c),
          j,
        ),
      ),
    );
    const names = centres.map((row) => row.map((v, j) => v - mean(examples, j)));
    const input: SolveInput = { ...inputOf(w), transform: 'sqrt_l2', zeroShot: true, names, examples, background: { base: background, tuned: [] } };
    const target = spread(60).map((c) => draw(c, 'target'));
    const plain = solveHead(input)!.head;
    const { head } = solveAdapted(input, target, { centre: 1, coral: 0, self_training: 0 })!;
    const [before, after] = [plain, head].map((h) => h.components.find((c) => c.name === 'zero_shot')!) as [HeadComponent, HeadComponent];
    expect(after.mix).toBe(before.mix);
    expect(before.mix).toBeGreaterThan(0);
    const features = (rows: readonly { base: Float32Array }[]) => rows.map((row) => ({ base: transformFeature(row.base, 'sqrt_l2', null) }));
    for (let j = 0; j < D; j++) expect(after.center[j]! - before.center[j]!).toBeCloseTo(mean(features(target), j) - mean(features(examples), j), 5);
  });

  it('goes on learning: the head is that of the examples there are, in whatever order they came', () => {
    const w = world(5);
    const input = inputOf(w);
    const target = spread(40).map((c) => w.draw(c, 'target'));
    const mix = { centre: 0.2, coral: 0.3, self_training: 0.5 };
    const without = { ...input, examples: input.examples.slice(1) };
    const turned = { ...input, examples: without.examples.toReversed() };
    const [one, other] = [solveAdapted(without, target, mix)!, solveAdapted(turned, target, mix)!];
    const [here, there] = [one, other].map(({ head }) => head.components[0]!.weight) as [Float32Array, Float32Array];
    expect(Math.max(...here.map((v, i) => Math.abs(v - there[i]!)))).toBeLessThan(1e-5);
    const full = scoresOf(solveAdapted(input, target, mix)!.head, target);
    const less = scoresOf(one.head, target);
    expect(Math.max(...full.map((v, i) => Math.abs(v - less[i]!)))).toBeGreaterThan(1e-4);
  });

  it('moves the bar for unknown with the domain, so that what is known stays known', () => {
    const w = world(2);
    const input = inputOf(w);
    const target = spread(60).map((c) => w.draw(c, 'target'));
    const solved = solveAdapted(input, target, { centre: 1, coral: 0, self_training: 0 })!;
    const plain = solveHead(input)!.head;
    expect(solved.head.openSet!.threshold).toBeLessThanOrEqual(plain.openSet!.threshold + 1);
    expect(solved.head.support!.center).not.toEqual(plain.support!.center);
    expect(solved.head.components).toHaveLength(plain.components.length);
  });
});

describe('the parts', () => {
  it('takes a symmetric matrix apart and puts it together again', () => {
    const next = normal(7);
    for (const n of [1, 2, 3, 17, 60]) {
      const a = new Float64Array(n * n);
      for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) a[i * n + j] = a[j * n + i] = next();
      const { values, vectors } = symmetricEigen(a, n);
      let worst = 0;
      for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let r = 0; r < n; r++) sum += vectors[i * n + r]! * values[r]! * vectors[j * n + r]!;
          worst = Math.max(worst, Math.abs(sum - a[i * n + j]!));
        }
      expect(worst).toBeLessThan(1e-11);
    }
  });

  it('gives the source the covariance of the target (CORAL), in fewer rows than dimensions too', () => {
    const next = normal(9);
    for (const [n, m, d] of [
      [30, 25, 6],
      [7, 5, 12],
    ] as const) {
      const source = rowsAbout(n, d, () => next() * 0.3);
      const target = rowsAbout(m, d, () => next() * 2);
      const x = coral(source, target);
      // The dense formula, by eigenvectors of the d × d covariances.
      const expected = multiply(multiply(source.x, densePower(source, -0.5), n, d, d), densePower(target, 0.5), n, d, d);
      expect(Math.max(...x.map((v, i) => Math.abs(v - expected[i]!)))).toBeLessThan(1e-9);
    }
  });

  it('counts what becomes right by a sign test', () => {
    expect(signTest(5, 0)).toBeCloseTo(1 / 32, 12);
    expect(signTest(4, 1)).toBeCloseTo(6 / 32, 12);
    expect(signTest(0, 3)).toBe(1);
    expect(signTest(0, 0)).toBe(1);
    expect(meanMargin(Float64Array.from([1, 0.25, -1, 0, 0.5, 0.5]), 3)).toBeCloseTo(0.375, 12);
    expect(meanMargin(Float64Array.from([1]), 1)).toBe(0);
  });

  it('measures answers without labels: sure and different is more than sure and alike', () => {
    const sure = Float64Array.from([1, 0, 0, 1, 1, 0, 0, 1]);
    const alike = Float64Array.from([1, 0, 1, 0, 1, 0, 1, 0]);
    expect(information(sure, 2)).toBeCloseTo(1, 12);
    expect(information(alike, 2)).toBeCloseTo(0, 12);
    expect(neighbourhoodDensity(alike, 2)).toBeGreaterThan(neighbourhoodDensity(sure, 2));
  });
});

function rowsAbout(n: number, d: number, next: () => number): Rows {
  const x = Float64Array.from({ length: n * d }, next);
  for (let j = 0; j < d; j++) {
    let mean = 0;
    for (let i = 0; i < n; i++) mean += x[i * d + j]! / n;
    for (let i = 0; i < n; i++) x[i * d + j]! -= mean;
  }
  return { x, n, d };
}

function multiply(a: Float64Array, b: Float64Array, n: number, d: number, m: number): Float64Array {
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++) for (let k = 0; k < d; k++) for (let j = 0; j < m; j++) out[i * m + j]! += a[i * d + k]! * b[k * m + j]!;
  return out;
}

/** (0.8 C + 0.2 τI)^p with C = XᵀX / n and τ its mean variance. */
function densePower({ x, n, d }: Rows, p: number): Float64Array {
  const c = new Float64Array(d * d);
  for (let r = 0; r < n; r++) for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) c[i * d + j]! += (0.8 * x[r * d + i]! * x[r * d + j]!) / n;
  let trace = 0;
  for (let i = 0; i < d; i++) trace += c[i * d + i]!;
  for (let i = 0; i < d; i++) c[i * d + i]! += (0.2 / 0.8) * (trace / d);
  const { values, vectors } = symmetricEigen(c, d);
  const out = new Float64Array(d * d);
  for (let i = 0; i < d; i++)
    for (let j = 0; j < d; j++) for (let r = 0; r < d; r++) out[i * d + j]! += vectors[i * d + r]! * values[r]! ** p * vectors[j * d + r]!;
  return out;
}
