/** The files that the host adds to a trained job: TensorFlow.js loads the head and says what Graft says, and the manifest names everything. */
import * as tf from '@tensorflow/tfjs';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scoreHead } from '../../functions/learning/score-head.ts';
import { solveHead, type LearnExample } from '../../functions/learning/solve-head.ts';
import { finishArtifacts, type Artifact } from '../../gpu-trainer/host/finish-artifacts.ts';
import type { Head } from '../../shared/head.ts';
import { encodeHead } from '../../shared/head-file.ts';
import { ModelManifest, type ArtifactName } from '../../shared/model-manifest.ts';

const D = 24;
const folder = mkdtempSync(join(tmpdir(), 'graft-artifacts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

let s = 11;
const next = (): number => (s = (Math.imul(s, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
const vector = (towards: number): Float32Array => Float32Array.from({ length: D }, (_, i) => 1 + next() + (i % 3 === towards ? 2 : 0));

/** As a trained version has it: base and tuned components, square roots, an open-set rule. */
function trainedHead(): Head {
  const examples = Array.from({ length: 18 }, (_, i): LearnExample => ({
    id: `ex_${String(i)}`,
    labelsOf: [i % 3],
    base: vector(i % 3),
    tuned: vector(i % 3),
  }));
  const background = { base: Array.from({ length: 9 }, () => vector(3)), tuned: Array.from({ length: 9 }, () => vector(3)) };
  const common = { task: 'single_label', transform: 'sqrt_l2', tunedMix: 0.4, trainedTemperature: 0.2, falseRejectRate: 0.05 } as const;
  return solveHead({ labels: ['a', 'b', 'c'], dimension: D, examples, names: [null, null, null], background, ...common })!.head;
}

const head = trainedHead();
let finished: Artifact[] = [];

function put(name: ArtifactName, bytes: Uint8Array): Artifact {
  const file = join(folder, name);
  writeFileSync(file, bytes);
  return { name, file, sha256: sha256(bytes), bytes: bytes.byteLength };
}

beforeAll(async () => {
  const files = [put('head.safetensors', encodeHead(head)), put('model-card.md', new TextEncoder().encode('# card'))];
  const manifest = {
    format: 'graft-model-1',
    job: 'job_1',
    base_backbone: 'b',
    base_sha256: '0',
    modality: 'image',
    dimension: D,
    labels: head.labels,
    seed: 1,
    dataset_digest: null,
    tuned: true,
    network: 'tail',
    parity: { precision: 'float32', rows: 3, max_abs_logit_difference: 1e-5, same_top1: 3, holds: true, rejected: [] },
    lineage: { seed: 1 },
    files: files.map(({ name, sha256: digest, bytes }) => ({ name, sha256: digest, bytes })),
  };
  files.push(put('manifest.json', new TextEncoder().encode(JSON.stringify(manifest))));
  const preprocessing = { kind: 'image', square_px: 256, input_px: 224, mean: 127, scale: 128 } as const;
  finished = await finishArtifacts(files, folder, {
    datasetDigest: 'd'.repeat(64),
    sourceClassifier: 'cls_1',
    backbone: { id: 'b', sha256: '0', preprocessing },
  });
});

const bytesOf = (name: string): Buffer => readFileSync(finished.find((artifact) => artifact.name === name)!.file);

test('the manifest is last, names every other file by its digest, and knows the dataset', () => {
  expect(finished.map(({ name }) => name)).toEqual(['head.safetensors', 'model-card.md', 'head.tfjs.json', 'head.tfjs.bin', 'manifest.json']);
  for (const { name, sha256: digest, bytes } of finished)
    expect([name, sha256(bytesOf(name)), bytesOf(name).byteLength]).toEqual([name, digest, bytes]);
  const manifest = ModelManifest.parse(JSON.parse(bytesOf('manifest.json').toString()));
  expect(manifest.files).toEqual(finished.slice(0, -1).map(({ name, sha256: digest, bytes }) => ({ name, sha256: digest, bytes })));
  expect(manifest.dataset_digest).toBe('d'.repeat(64));
  expect(manifest.parity).toMatchObject({ precision: 'float32', holds: true });
  expect(manifest.lineage).toEqual({ seed: 1, source_classifier: 'cls_1' });
});

test('TensorFlow.js loads the head from its two files and gives the same scores and the same unknown', async () => {
  const json = JSON.parse(bytesOf('head.tfjs.json').toString()) as tf.io.ModelJSON & { userDefinedMetadata: Record<string, unknown> };
  expect(json.weightsManifest[0]!.paths).toEqual(['head.tfjs.bin']);
  const weights = new Uint8Array(bytesOf('head.tfjs.bin')).buffer;
  const model = await tf.loadLayersModel(
    tf.io.fromMemory({ modelTopology: json.modelTopology, weightSpecs: json.weightsManifest[0]!.weights, weightData: weights }),
  );
  const { labels, preprocessing, outputs } = json.userDefinedMetadata as {
    labels: string[];
    preprocessing: { inputs: { from: string; elementwise: string }[] };
    outputs: { name: string }[];
  };
  expect(labels).toEqual(head.labels);
  expect(outputs.map(({ name }) => name)).toEqual(['probabilities', 'margin']);
  const unknowns = new Set<boolean>();
  for (let i = 0; i < 30; i++) {
    const e = { base: vector(i % 5), tuned: vector(i % 4) };
    const inputs = preprocessing.inputs.map(({ from, elementwise }) => {
      const raw = from === 'tuned' ? e.tuned : e.base;
      expect(elementwise).toBe('sqrt(max(x, 0))');
      return tf.tensor2d(
        [...raw].map((x) => Math.sqrt(Math.max(x, 0))),
        [1, D],
      );
    });
    const [probabilities, margin] = model.predict(inputs) as tf.Tensor[];
    const answer = scoreHead(head, e);
    const said = await probabilities!.data();
    for (const [c, label] of head.labels.entries()) expect(said[c]).toBeCloseTo(answer.scores.find((one) => one.label === label)!.score, 4);
    expect((await margin!.data())[0]! < 0).toBe(answer.unknown);
    unknowns.add(answer.unknown);
  }
  expect(unknowns.size).toBe(2);
});
