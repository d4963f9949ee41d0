/** A network of another framework, under our names and with a head on top: onnxruntime gives what Graft's own scoring gives. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { afterAll, expect, test } from 'vitest';
import { bundleOnnx, type GraphFiles } from '../../functions/exports/onnx-bundle.ts';
import { checkNetwork } from '../../functions/exports/onnx-check.ts';
import { flattenGraph } from '../../functions/exports/onnx-flatten.ts';
import { toStream } from '../../functions/exports/streams.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';
import { solveHead } from '../../functions/learning/solve-head.ts';
import { PYTHON, ROOT } from '../../infra/paths.ts';
import type { BackboneManifest } from '../../shared/catalogue.ts';

const folder = mkdtempSync(join(tmpdir(), 'graft-added-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RUN = `
import json, sys
import numpy as np, onnx, onnxruntime
original, merged, layout = sys.argv[1], sys.argv[2], sys.argv[3]
onnx.checker.check_model(merged, full_check=True)
def run(path, x):
    s = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in s.get_outputs()], s.run(None, {s.get_inputs()[0].name: x})))
shape = (1, 3, 64, 64) if layout == "nchw" else (1, 96, 96, 3)
x = np.random.default_rng(7).normal(size=shape).astype(np.float32)
embedding = list(run(original, x).values())[0][0].tolist()
print(json.dumps({"embedding": embedding, "probabilities": run(merged, x)["probabilities"][0].tolist()}))
`;

const bytesFile = (name: string, bytes: Uint8Array): GraphFiles => ({
  model: {
    name,
    bytes: bytes.byteLength,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    open: () =>
      Promise.resolve(
        toStream(
          (async function* () {
            yield bytes;
          })(),
        ),
      ),
  },
  data: null,
});

test.each([
  ['pytorch', 96, 'nchw'],
  ['keras', 80, 'nhwc'],
] as const)('%s', async (name, dimension, layout) => {
  const path = join(ROOT, `test/fixtures/backbones/${name}.onnx`);
  const network = checkNetwork(new Uint8Array(readFileSync(path)));
  expect(network.opset).toBe(17);
  const wave = (i: number): number => Math.abs(Math.sin(i * 12.9898));
  const { head } = solveHead({
    labels: ['one', 'two', 'three'],
    task: 'single_label',
    transform: 'l2',
    dimension,
    examples: Array.from({ length: 9 }, (_, i) => {
      const base = Float32Array.from({ length: dimension }, (__, j) => wave(i * dimension + j));
      return { id: `ex_${i}`, labelsOf: [i % 3], base, tuned: null };
    }),
    names: [null, null, null],
    background: { base: [], tuned: [] },
    tunedMix: 0,
    trainedTemperature: 0.3,
    falseRejectRate: 0.1,
  })!;
  const graph = (file: string, input: string, output: string) => ({
    model: { name: file, sha256: '0'.repeat(64), bytes: 1 },
    data: null,
    inputs: [input],
    outputs: [output],
  });
  const blob = { name: 'none', sha256: '0'.repeat(64), bytes: 1 };
  const manifest: BackboneManifest = {
    format: 'graft-backbone-1',
    id: name,
    modality: 'image',
    dimension,
    version: '1',
    license: 'Apache-2.0',
    source: 'test',
    sha256: '0'.repeat(64),
    accuracy: 'none',
    preprocessing: { kind: 'image', square_px: 256, input_px: 64, mean: 0, scale: 1, layout },
    transform: 'l2',
    trunk: graph('trunk.onnx', network.input, network.output),
    tail: graph('tail.onnx', 'features', 'embedding'),
    weights: null,
    vocabulary: null,
    background: blob,
    background_inputs: blob,
    parity: { samples: 0, max_abs_difference: 0, min_cosine: 1 },
  };
  const origin = { classifier: 'cls_test', name, version: 1, createdAt: '2026-01-02T03:04:05.000Z', backbone: name, manifest, model: null };
  const trunk = bytesFile('trunk.onnx', network.model);
  const tail = bytesFile('tail.onnx', flattenGraph(network.opset));
  const archive = await bundleOnnx(head, origin, { trunk, tail, tuned: null, input: network.input, vocabulary: null });
  const files = unzipSync(new Uint8Array(await new Response(toStream(archive.chunks)).arrayBuffer()));
  const merged = join(folder, `${name}.onnx`);
  writeFileSync(merged, files['model.onnx']!);
  const run = spawnSync(PYTHON, ['-c', RUN, path, merged, layout], { encoding: 'utf8' });
  expect(run.status, run.stderr).toBe(0);
  const said = JSON.parse(run.stdout) as { embedding: number[]; probabilities: number[] };
  const { scores } = scoreHead(head, { base: Float32Array.from(said.embedding), tuned: null });
  for (const [c, label] of head.labels.entries()) expect(said.probabilities[c]).toBeCloseTo(scores.find((s) => s.label === label)!.score, 5);
});
