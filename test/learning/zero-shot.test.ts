/** Pictures by names alone: the rows are what their formula says, no label is loud by itself, and a first example takes nothing away. */
import { describe, expect, it } from 'vitest';
import { makeLabelVectors } from '../../functions/inference/label-vectors.ts';
import { backgroundCenter } from '../../functions/learning/features.ts';
import { rawScores, scoreHead } from '../../functions/learning/score-head.ts';
import { solveHead, type SolveInput } from '../../functions/learning/solve-head.ts';
import { zeroShotComponent, zeroShotRows } from '../../functions/learning/zero-shot.ts';
import { decodeHead, encodeHead } from '../../shared/head-file.ts';

const D = 12;
const TEXT = 6;
let state = 7;
const random = (): number => (state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296) / 4_294_967_296;
const vector = (n: number): Float32Array => Float32Array.from({ length: n }, () => random());
const unitAt = (i: number, n: number): Float32Array => Float32Array.from({ length: n }, (_, j) => (i === j ? 1 : 0));

/** As many classes as text dimensions: class k is called unitAt(k) and looks for feature k. */
const classes = {
  weight: Float32Array.from({ length: TEXT * D }, (_, i) => (i % D === Math.floor(i / D) ? 1 : 0)),
  dimension: D,
  names: Array.from({ length: TEXT }, (_, k) => unitAt(k, TEXT)),
};
const background = { base: Array.from({ length: 40 }, () => vector(D)), tuned: [] };
/** A picture in which feature `k` stands out. */
const showing = (k: number): Float32Array => vector(D).map((v, i) => 0.3 * v + (i === k ? 1 : 0));

function solve(names: (Float32Array | null)[], shown: readonly number[], more: Partial<SolveInput> = {}) {
  return solveHead({
    labels: names.map((_, i) => `label ${i}`),
    task: 'single_label',
    transform: 'sqrt_l2',
    dimension: D,
    examples: shown.map((k, i) => ({ id: `e${i}`, labelsOf: [k], base: showing(k), tuned: null })),
    names,
    zeroShot: true,
    background,
    tunedMix: 0,
    trainedTemperature: null,
    falseRejectRate: null,
    ...more,
  })!;
}
const accuracy = (head: Parameters<typeof scoreHead>[0], labels: number): number => {
  let right = 0;
  for (let i = 0; i < 20 * labels; i++) right += scoreHead(head, { base: showing(i % labels), tuned: null }).label === `label ${i % labels}` ? 1 : 0;
  return right / (20 * labels);
};

describe('zero-shot rows', () => {
  it('are the classifier rows of the classes that the label is called like', () => {
    const [row, between] = zeroShotRows(classes, [unitAt(2, TEXT), Float32Array.from([0, 0, 1, 1, 0, 0])]);
    expect(row![2]).toBeGreaterThan(0.99);
    expect(row!.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
    expect(between![2]).toBeCloseTo(0.5, 2);
    expect(between![3]).toBeCloseTo(0.5, 2);
  });

  it('score the background with mean 0, all labels as loud as each other and together as was measured, however long a row is', () => {
    const rows = [vector(D), vector(D).map((v) => 50 * v), null];
    const component = zeroShotComponent(rows, background.base, backgroundCenter(background.base, 'l2', D), 'l2', 1);
    const scores = background.base.map((base) => rawScores({ components: [component], labels: { length: 3 }, support: null }, { base, tuned: null }));
    let squares = 0;
    for (const c of [0, 1]) {
      const own = scores.map((s) => s[c]!);
      expect(own.reduce((a, b) => a + b, 0) / own.length).toBeCloseTo(0, 6);
      squares += own.reduce((a, b) => a + b * b, 0) / own.length / 2;
    }
    expect(Math.sqrt(squares)).toBeCloseTo(1 / 24, 5);
    const lengths = [0, 1].map((c) => Math.hypot(...component.weight.subarray(c * D, (c + 1) * D)));
    expect(lengths[0]).toBeCloseTo(lengths[1]!, 5);
    expect(scores.every((s) => s[2] === 0)).toBe(true);
    // A row means the cosine's direction: brightness changes nothing.
    const bright = background.base[0]!.map((v) => 9 * v);
    expect(rawScores({ components: [component], labels: { length: 3 }, support: null }, { base: bright, tuned: null })[0]).toBeCloseTo(
      scores[0]![0]!,
      6,
    );
    expect(() => zeroShotComponent([vector(3)], background.base, backgroundCenter(background.base, 'l2', D), 'l2', 1)).toThrow('3 values');
  });
});

describe('a head of pictures with names', () => {
  const names = zeroShotRows(
    classes,
    [0, 1, 2, 3].map((k) => unitAt(k, TEXT)),
  );

  it('answers without an example, unsure, and survives its file', () => {
    const { head, evidence } = solve(names, []);
    expect(evidence.method).toBe('zero_shot');
    expect(accuracy(head, 4)).toBeGreaterThan(0.9);
    const e = { base: showing(1), tuned: null };
    const answer = scoreHead(head, e);
    expect(answer.label).toBe('label 1');
    // What shows none of them is hardly believed.
    for (const base of background.base.slice(0, 5)) expect(scoreHead(head, { base, tuned: null }).confidence).toBeLessThan(0.75);
    expect(scoreHead(decodeHead(encodeHead(head)), e)).toEqual(answer);
  });

  it('loses nothing with the first examples, of one label or of some', () => {
    const before = accuracy(solve(names, []).head, 4);
    for (const shown of [[0], [0, 0], [0, 0, 0, 0], [1, 2], [3, 3, 2]]) {
      const { head, evidence } = solve(names, shown);
      expect(accuracy(head, 4), shown.join()).toBeGreaterThanOrEqual(before - 0.05);
      expect(evidence.names_mix).toBeGreaterThan(0);
    }
    // Without names one example is all that there is to say.
    expect(accuracy(solve([null, null, null, null], [0]).head, 4)).toBe(0.25);
  });

  it('drops names that the examples contradict', () => {
    const wrong = [...names.slice(1), names[0]!];
    const shown = [0, 1, 2, 3].flatMap((k) => Array.from({ length: 6 }, () => k));
    const { head, evidence } = solve(wrong, shown);
    expect(evidence.names_mix).toBeLessThanOrEqual(0.5);
    expect(accuracy(head, 4)).toBeGreaterThan(0.9);
  });

  it('calls hardly more of the background unknown than was asked for, while it has no example', () => {
    const { head } = solve(names, [], { falseRejectRate: 0.05 });
    const unknown = background.base.filter((base) => scoreHead(head, { base, tuned: null }).unknown).length;
    expect(unknown).toBeLessThanOrEqual(3);
  });
});

describe('vectors of labels', () => {
  const text = { id: 'all-minilm-l6-v2', modality: 'text' };
  const image = (more: object) => ({ id: 'efficientnet-lite0', modality: 'image', ...more });
  const encoder = { encode: async () => ({ base: unitAt(0, TEXT), tuned: null }) };
  const given = (shelf: readonly object[]) =>
    makeLabelVectors({
      catalogue: { get: async (id: string) => shelf.find((m) => (m as { id: string }).id === id) ?? null },
      read: async () => null,
      encoder,
    } as never);

  it('are none where classes, their file or the text backbone are missing', async () => {
    const classesFile = { classes: { name: 'classes.safetensors', sha256: '0'.repeat(64), bytes: 1 } };
    for (const shelf of [[image({}), text], [image(classesFile)], [image(classesFile), text], []])
      expect(await given(shelf).of(['bird'], 'efficientnet-lite0')).toEqual([null]);
    expect(await given([text]).of(['bird'], null)).toEqual([null]);
    expect(await given([text]).of(['bird'], text.id)).toEqual([unitAt(0, TEXT)]);
  });

  it('of texts point between the words and a sentence of them, whatever the length of either embedding', async () => {
    const read: string[] = [];
    const encode = async ({ text: words }: { text: string }) => {
      read.push(words);
      return { base: unitAt(read.length, TEXT).map((v) => v * read.length * 3), tuned: null };
    };
    const vectors = makeLabelVectors({ catalogue: { get: async () => text }, read: async () => null, encoder: { encode } } as never);
    expect(await vectors.of(['bird'], text.id)).toEqual([Float32Array.of(0, 0.5, 0.5, 0, 0, 0)]);
    expect(read).toEqual(['bird', 'The topic is bird.']);
  });
});
