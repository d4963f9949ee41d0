/** Every export of a head, loaded by its own runtime (onnxruntime, tfjs, safetensors in numpy), gives the scores and the `unknown` that Graft gives. */
import * as tf from '@tensorflow/tfjs';
import { unzipSync } from 'fflate';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeOnnxHead } from '../../functions/exports/onnx-head.ts';
import { headParts } from '../../shared/head-parts.ts';
import { headMetadata, type Origin } from '../../functions/exports/origin.ts';
import { encodeSafetensorsHead } from '../../functions/exports/safetensors-head.ts';
import { toStream } from '../../functions/exports/streams.ts';
import { encodeTfjs } from '../../functions/exports/tfjs.ts';
import { zip } from '../../functions/exports/zip.ts';
import { fitStandardisation, standardised } from '../../functions/learning/own-scale.ts';
import { knownness, nearestSupport, rawScores, scoreHead, supportCosines, type Embeddings } from '../../functions/learning/score-head.ts';
import { solveHead, type LearnExample, type SolveInput } from '../../functions/learning/solve-head.ts';
import { PYTHON } from '../../infra/paths.ts';
import type { Head, HeadComponent } from '../../shared/head.ts';
import { decodeHead, encodeHead } from '../../shared/head-file.ts';

const D = 24;
const PROBES = 60;
const TOLERANCE = 1e-5;
/** Nearer to the threshold than this, single and double precision may decide differently. */
const UNDECIDED = 1e-4;
const ORIGIN: Origin = {
  classifier: 'cls_test',
  name: 'Compass',
  version: 3,
  createdAt: '2026-01-02T03:04:05.000Z',
  backbone: null,
  manifest: null,
  model: null,
};

function random(seed: number): () => number {
  let s = seed;
  return () => {
    s = (Math.imul(s, 1_664_525) + 1_013_904_223) >>> 0;
    return s / 2 ** 32;
  };
}
const next = random(5);
/** Embeddings in a narrow cone, as networks give them: none negative, most of each the same. */
const vector = (towards: number, far = 1): Float32Array =>
  Float32Array.from({ length: D }, (_, i) => 3 + next() + (i % 4 === towards ? 2 * far : 0) - (i === 7 ? 2 : 0));

function problem(more: Partial<SolveInput>): SolveInput {
  const task = more.task ?? 'single_label';
  const examples: LearnExample[] = Array.from({ length: 18 }, (_, i) => ({
    id: `ex_${String(i).padStart(2, '0')}`,
    labelsOf: task === 'multi_label' && i % 4 < 2 ? (i % 4 === 0 ? [i % 3, (i + 1) % 3] : []) : [i % 3],
    base: vector(i % 3),
    tuned: vector(i % 3, 2),
  }));
  const background = { base: Array.from({ length: 12 }, () => vector(3)), tuned: Array.from({ length: 12 }, () => vector(3, 2)) };
  return {
    labels: ['north', 'east', 'süd "up"'],
    task,
    transform: 'l2',
    dimension: D,
    examples,
    names: [null, null, null],
    background,
    tunedMix: 0,
    trainedTemperature: null,
    falseRejectRate: 0.05,
    ...more,
  };
}
const solved = (more: Partial<SolveInput>): Head => solveHead(problem(more))!.head;

const unequal = (v: number, i: number): number => v * 10 ** (i % 3);
/** Values that differ in size, without a background: the head measures them itself. */
function ownScale(): Head {
  const given = problem({ background: { base: [], tuned: [] } });
  const examples = given.examples.map((e) => ({ ...e, base: e.base.map(unequal) }));
  const by = fitStandardisation({ ...given, examples });
  return { ...solveHead(standardised({ ...given, examples }, by))!.head, standardisation: by };
}

const plain = solved({});
const withTuned = solved({ tunedMix: 0.4, transform: 'sqrt_l2' });
/** Two transforms, two centres, one component that weighs nothing: more than the solver makes, all that a head may be. */
function mixed(): Head {
  const linear = (transform: 'l2' | 'sqrt_l2'): HeadComponent => {
    const { center } = solved({ transform }).support!;
    const weight = Float32Array.from({ length: 3 * D }, () => next() - 0.5);
    return { embedding: 'base', name: 'ridge', transform, dimension: D, kernel: null, center, weight, bias: Float32Array.of(0.1, 0, -0.2), mix: 1 };
  };
  const [first, other] = [linear('l2'), linear('sqrt_l2')];
  return {
    ...plain,
    components: [
      { ...first, mix: 0.5 },
      { ...first, name: 'again', bias: first.bias.map((b) => b + 0.1), mix: 0.25 },
      { ...other, mix: 0.3 },
      { ...first, center: new Float32Array(D), mix: 0.2 },
      { ...first, embedding: 'tuned', mix: 0 },
      { ...plain.components[0]!, kernel: { power: 8 }, mix: 0.4 },
    ],
  };
}

/** The rows of a head in eight directions, and the variance over the first seven rows. */
function inDirections(head: Head): Head {
  const [width, side] = [8, 7];
  const support = head.support!;
  const m = support.labelOf.length;
  const basis = new Float32Array(width * D);
  for (let r = 0; r < width; r++) {
    const row = Float64Array.from({ length: D }, () => next() - 0.5);
    for (let q = 0; q < r; q++) {
      const along = row.reduce((sum, v, i) => sum + v * basis[q * D + i]!, 0);
      for (let i = 0; i < D; i++) row[i]! -= along * basis[q * D + i]!;
    }
    const norm = Math.hypot(...row);
    for (let i = 0; i < D; i++) basis[r * D + i] = row[i]! / norm;
  }
  const rows = new Float32Array(m * width);
  for (let r = 0; r < m; r++)
    for (let q = 0; q < width; q++) for (let i = 0; i < D; i++) rows[r * width + q]! += support.rows[r * D + i]! * basis[q * D + i]!;
  const factor = new Float32Array(side * side);
  for (let r = 0; r < side; r++) factor.set(support.factor.subarray(r * m, r * m + side), r * side);
  const openSet = { ...head.openSet!, threshold: 0 };
  const made: Head = { ...head, openSet, support: { ...support, basis, rows, factor } };
  // Where half of what it is asked is above.
  const margins = Array.from({ length: 31 }, (_, i) => knownness(made, openSet, { base: vector(i % 5, i % 2), tuned: null }));
  return { ...made, openSet: { ...openSet, threshold: margins.toSorted((a, b) => a - b)[15]! - 0.001 } };
}

const HEADS: Record<string, Head> = {
  'one component with an open-set rule': plain,
  'no open-set rule, square roots': solved({ transform: 'sqrt_l2', falseRejectRate: null }),
  'label names beside examples': solved({ names: [vector(0), vector(1), null] }),
  'label names alone': solved({ examples: [], names: [vector(0), vector(1), vector(2)], falseRejectRate: null }),
  'a tuned component': withTuned,
  'a tuned component alone': solved({ tunedMix: 1 }),
  'several labels': solved({ task: 'multi_label' }),
  'two transforms and centres': mixed(),
  'an open-set rule without rows': {
    ...mixed(),
    components: mixed().components.slice(0, 4),
    support: null,
    openSet: { ...plain.openSet!, threshold: 0 },
  },
  "values on the examples' own scale": ownScale(),
  'kept rows written in directions': inDirections(plain),
};
const names = Object.keys(HEADS);

/** v(x) of novelty.ts from its definition: the factor times the kernel, squared and summed. */
function stranger(head: Head, e: Embeddings): number {
  const { support } = head;
  if (!support) return 0;
  const kappa = supportCosines(head, e).map((c) => ((1 + c) / 2) ** 4);
  const m = Math.sqrt(support.factor.length);
  let sum = 0;
  for (let r = 0; r < m; r++) sum += kappa.subarray(0, m).reduce((s, v, c) => s + v * support.factor[r * m + c]!, 0) ** 2;
  return 1 - sum;
}

type Probe = { readonly e: Embeddings; readonly scores: number[]; readonly raw: number[]; readonly unknown: boolean | null };

function probesOf(head: Head): Probe[] {
  return Array.from({ length: PROBES }, (_, i) => {
    const factor = [1, 1e-9, 1e16][i % 3]!;
    // Only directions count, unless a head knows the size of each value.
    const base = vector(i % 5, i % 2).map((v, j) => (head.standardisation ? unequal(v, j) : v * factor));
    const e = { base: i === 0 ? new Float32Array(D) : base, tuned: vector(i % 4, 2) };
    const answer = scoreHead(head, e);
    const raw = [...rawScores(head, e)];
    const rule = head.openSet;
    const evidence = rule && rule.bestWeight * Math.max(...raw) - rule.varianceWeight * stranger(head, e);
    const decided = evidence === null || Math.abs(evidence - rule!.threshold) > UNDECIDED;
    const scores = head.labels.map((label) => answer.scores.find((s) => s.label === label)!.score);
    return { e, scores, raw, unknown: decided ? answer.unknown : null };
  });
}
const PROBED = new Map(names.map((name) => [name, probesOf(HEADS[name]!)]));

/** What a runtime said about each probe. */
type Said = { readonly scores: number[][]; readonly unknown: boolean[] };

function expectSame(name: string, said: Said): void {
  const probes = PROBED.get(name)!;
  expect(said.scores.length).toBe(probes.length);
  let worst = 0;
  for (const [i, probe] of probes.entries())
    for (const [c, score] of probe.scores.entries()) worst = Math.max(worst, Math.abs(score - said.scores[i]![c]!));
  expect(worst).toBeLessThan(TOLERANCE);
  const decided = [...probes.entries()].filter(([, probe]) => probe.unknown !== null);
  expect(decided.map(([i]) => said.unknown[i])).toEqual(decided.map(([, probe]) => probe.unknown));
}

test('the probes can tell heads apart: known and unknown ones are among them', () => {
  for (const name of names) {
    const answers = PROBED.get(name)!.map((probe) => probe.unknown);
    expect(answers).toContain(false);
    expect(answers.includes(true)).toBe(HEADS[name]!.openSet !== null);
    expect(answers.filter((answer) => answer === null).length).toBeLessThan(5);
  }
});

test('components of one feature become one linear map', () => {
  expect(headParts(mixed()).linear.length).toBe(3);
  expect(headParts(HEADS['label names beside examples']!)).toMatchObject({ linear: [{}], kernel: [{}] });
  expect(headParts(withTuned).linear.map((part) => part.feature.embedding)).toEqual(['base', 'tuned']);
  const silent = { ...mixed(), components: mixed().components.map((c) => ({ ...c, mix: 0 })) };
  expect(new Set(headParts(silent).linear[0]!.weight)).toEqual(new Set([0]));
  expect(() => headParts({ ...plain, components: [] })).toThrow(RangeError);
  const torn = { ...plain, support: { ...plain.support!, dimension: 3, center: new Float32Array(3) } };
  expect(() => headParts(torn)).toThrow(RangeError);
});

const READ_BY_PYTHON = `
import json, sys
import numpy as np, onnx, onnxruntime
from safetensors import safe_open
from safetensors.numpy import load_file

def onnx_says(case):
    model = onnx.load(case["onnx"])
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(case["onnx"], providers=["CPUExecutionProvider"])
    wanted = {"embedding": case["base"], "tuned": case["tuned"]}
    feeds = {i.name: np.array(wanted[i.name], np.float32) for i in session.get_inputs()}
    outputs = [o.name for o in session.get_outputs()]
    got = dict(zip(outputs, session.run(None, feeds)))
    return {
        "outputs": outputs,
        "inputs": list(feeds),
        "opset": [[o.domain, o.version] for o in model.opset_import],
        "metadata": {p.key: p.value for p in model.metadata_props},
        "shapes": {name: list(value.shape) for name, value in got.items()},
        **{name: value.tolist() for name, value in got.items()},
    }

def feature(rows, part, center, head, tensors):
    x = np.array(rows, np.float64)
    if "standardisation" in head and part["embedding"] == "base":
        x = (x - tensors["standardisation.mean"]) * tensors["standardisation.scale"]
        x = np.append(x, np.full((len(x), 1), head["standardisation"]["constant"]), axis=1)
    if part["transform"] == "sqrt_l2":
        x = np.sqrt(np.maximum(x, 0))
    n = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, n, out=np.zeros_like(x), where=n > 0) - center

def kernel(f, tensors, power):
    n = np.linalg.norm(f, axis=1, keepdims=True)
    u = np.divide(f, n, out=np.zeros_like(f), where=n > 0)
    if "support.basis" in tensors:
        u = u @ tensors["support.basis"].T.astype(np.float64)
    return ((1 + u @ tensors["support.rows"].T.astype(np.float64)) / 2) ** power

def safetensors_says(case):
    tensors = load_file(case["safetensors"])
    with safe_open(case["safetensors"], "numpy") as file:
        metadata = file.metadata()
    head = json.loads(metadata["graft"])
    raw = 0
    for k, part in enumerate(head["components"]):
        f = feature(case[part["embedding"]], part, tensors["support.center" if "kernel_power" in part else f"components.{k}.center"], head, tensors)
        if "kernel_power" in part:
            f = kernel(f, tensors, part["kernel_power"])
        raw = raw + part["mix"] * (f @ tensors[f"components.{k}.weight"].T.astype(np.float64) + tensors[f"components.{k}.bias"])
    temperature = float(metadata["temperature"])
    if metadata["task"] == "multi_label":
        p = 1 / (1 + np.exp(-2 * raw / temperature))
    else:
        p = np.exp((raw - raw.max(axis=1, keepdims=True)) / temperature)
        p /= p.sum(axis=1, keepdims=True)
    rule = json.loads(metadata["open_set"])
    unknown = np.zeros(len(p), bool)
    if rule:
        far = 0
        if head["support"]:
            x = feature(case[head["support"]["embedding"]], head["support"], tensors["support.center"], head, tensors)
            far = 1 - ((kernel(x, tensors, 4)[:, : len(tensors["support.factor"])] @ tensors["support.factor"].T.astype(np.float64)) ** 2).sum(axis=1)
        unknown = rule["best_weight"] * raw.max(axis=1) - rule["variance_weight"] * far < rule["threshold"]
    return {"probabilities": p.tolist(), "unknown": unknown.tolist(), "metadata": metadata}

cases = json.load(open(sys.argv[1]))
print(json.dumps([{"onnx": onnx_says(c), "safetensors": safetensors_says(c)} for c in cases]))
`;

type OnnxSays = {
  outputs: string[];
  inputs: string[];
  opset: [string, number][];
  metadata: Record<string, string>;
  shapes: Record<string, number[]>;
  logits: number[][];
  probabilities: number[][];
  unknown: boolean[];
  nearest?: number[];
  nearest_similarity?: number[];
};
type PythonSays = { onnx: OnnxSays; safetensors: { probabilities: number[][]; unknown: boolean[]; metadata: Record<string, string> } };

const folder = mkdtempSync(join(tmpdir(), 'graft-exports-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let python = new Map<string, PythonSays>();

beforeAll(() => {
  const cases = names.map((name, i) => {
    const head = HEADS[name]!;
    const paths = { onnx: join(folder, `${i}.onnx`), safetensors: join(folder, `${i}.safetensors`) };
    writeFileSync(paths.onnx, encodeOnnxHead(head, headMetadata(head, ORIGIN)));
    writeFileSync(paths.safetensors, encodeSafetensorsHead(head, ORIGIN));
    const probes = PROBED.get(name)!;
    return { ...paths, base: probes.map(({ e }) => [...e.base]), tuned: probes.map(({ e }) => [...e.tuned!]) };
  });
  writeFileSync(join(folder, 'cases.json'), JSON.stringify(cases));
  const run = spawnSync(PYTHON, ['-c', READ_BY_PYTHON, join(folder, 'cases.json')], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(run.stderr);
  const said = JSON.parse(run.stdout) as PythonSays[];
  python = new Map(names.map((name, i) => [name, said[i]!]));
});

describe.each(names)('%s', (name) => {
  const head = HEADS[name]!;
  const probes = PROBED.get(name)!;

  test('as ONNX', () => {
    const { onnx } = python.get(name)!;
    expectSame(name, { scores: onnx.probabilities, unknown: onnx.unknown });
    const scale = head.task === 'multi_label' ? 2 : 1;
    for (const [i, { raw }] of probes.entries())
      for (const [c, score] of raw.entries()) expect(onnx.logits[i]![c]! / ((scale * score) / head.temperature)).toBeCloseTo(1, 2);
    expect(onnx.opset).toEqual([['', 17]]);
    expect(onnx.inputs).toEqual(name === 'a tuned component' || name === 'a tuned component alone' ? ['embedding', 'tuned'] : ['embedding']);
    expect(onnx.shapes['unknown']).toEqual([PROBES]);
    expect(JSON.parse(onnx.metadata['labels']!)).toEqual(head.labels);
    expect(JSON.parse(onnx.metadata['thresholds']!)).toEqual({
      unknown: head.openSet?.threshold ?? null,
      present: head.task === 'multi_label' ? 0.5 : null,
    });
    expect(onnx.outputs).toEqual(['logits', 'probabilities', 'unknown', ...(head.support ? ['nearest', 'nearest_similarity'] : [])]);
    if (!head.support) return;
    for (const [i, { e }] of probes.entries()) {
      const near = nearestSupport(head, e)!;
      expect(onnx.nearest_similarity![i]).toBeCloseTo(near.similarity, 5);
      expect(onnx.nearest![i]).toBe(head.support.labelOf[near.row]);
    }
  });

  test('as safetensors', () => {
    const { safetensors } = python.get(name)!;
    expectSame(name, { scores: safetensors.probabilities, unknown: safetensors.unknown });
    expect(JSON.parse(safetensors.metadata['labels']!)).toEqual(head.labels);
    expect(safetensors.metadata).toMatchObject({ classifier: 'cls_test', version: '3', created_at: ORIGIN.createdAt, preprocessing: 'null' });
    expect(decodeHead(encodeSafetensorsHead(head, ORIGIN))).toEqual(decodeHead(encodeHead(head)));
  });

  test('as a layers model of TensorFlow.js', async () => {
    await tf.setBackend('cpu');
    const archive = zip(encodeTfjs(head, ORIGIN));
    const bytes = new Uint8Array(await new Response(toStream(archive.chunks)).arrayBuffer());
    expect(bytes.byteLength).toBe(archive.bytes);
    const files = unzipSync(bytes);
    const read = (file: string) => JSON.parse(new TextDecoder().decode(files[file])) as never;
    const model: { modelTopology: object; weightsManifest: { weights: tf.io.WeightsManifestEntry[] }[]; format: string } = read('model.json');
    const metadata: { labels: string[]; preprocessing: { inputs: { name: string; from: 'embedding' | 'tuned'; elementwise: string }[] } } =
      read('metadata.json');
    expect(metadata.labels).toEqual(head.labels);
    const weightSpecs = model.weightsManifest.flatMap((group) => group.weights);
    const weightData = Uint8Array.from(files['weights.bin']!).buffer;
    const loaded = await tf.loadLayersModel({
      load: () => Promise.resolve({ modelTopology: model.modelTopology, format: model.format, weightSpecs, weightData }),
    });
    expect(loaded.inputNames).toEqual(metadata.preprocessing.inputs.map((input) => input.name));
    const inputs = metadata.preprocessing.inputs.map(({ from, elementwise }) => {
      const rows = probes.map(({ e }) => (from === 'embedding' ? e.base : e.tuned!));
      return tf.tensor2d(rows.map((row) => [...row].map((v) => (elementwise === 'none' ? v : Math.sqrt(Math.max(v, 0))))));
    });
    const outputs = loaded.predict(inputs);
    const [probabilities, margin] = Array.isArray(outputs) ? outputs : [outputs];
    const scores = (await probabilities!.array()) as number[][];
    expect(margin !== undefined).toBe(head.openSet !== null);
    const margins = margin ? ((await margin.array()) as number[][]) : probes.map(() => [0]);
    expectSame(name, { scores, unknown: margins.map(([value]) => value! < 0) });
  });
});
