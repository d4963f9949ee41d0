/** Trunk, tails and head merged into one ONNX file answer what the separate graphs and the head answer, and the README's ten lines run it. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleOnnx, type GraphFiles, type Network } from '../../functions/exports/onnx-bundle.ts';
import type { Origin } from '../../functions/exports/origin.ts';
import { spliced, splicedBytes } from '../../functions/exports/onnx-scan.ts';
import { toStream, type SourceFile } from '../../functions/exports/streams.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';
import { solveHead, type LearnExample } from '../../functions/learning/solve-head.ts';
import { BACKBONES, PYTHON, ROOT } from '../../infra/paths.ts';
import { BackboneManifest, SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import type { Head } from '../../shared/head.ts';
import { makeDecoder } from '../../shared/preprocess/decoder.ts';
import { toNetworkInput } from '../../shared/preprocess/pixels.ts';

const folder = mkdtempSync(join(tmpdir(), 'graft-network-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function python(script: string, args: string[], cwd = folder): string {
  const run = spawnSync(PYTHON, ['-c', script, ...args], { encoding: 'utf8', maxBuffer: 1 << 28, cwd });
  if (run.status !== 0) throw new Error(run.stderr);
  return run.stdout;
}

/** Chunks of `size` bytes, so that every boundary falls somewhere inside a field. */
function fileOf(path: string, name: string, size: number): SourceFile {
  const content = new Uint8Array(readFileSync(path));
  async function* chunks() {
    for (let at = 0; at < content.byteLength; at += size) yield content.subarray(at, at + size);
  }
  return {
    name,
    bytes: content.byteLength,
    sha256: createHash('sha256').update(content).digest('hex'),
    open: () => Promise.resolve(toStream(chunks())),
  };
}

function graphOf(dir: string, model: string, size: number): GraphFiles {
  const data = join(dir, `${model}.data`);
  return { model: fileOf(join(dir, model), model, size), data: existsSync(data) ? fileOf(data, `${model}.data`, size) : null };
}

async function unpack(archive: Awaited<ReturnType<typeof bundleOnnx>>, to: string): Promise<string[]> {
  const bytes = new Uint8Array(await new Response(toStream(archive.chunks)).arrayBuffer());
  expect(bytes.byteLength).toBe(archive.bytes);
  const path = join(folder, `${to}.zip`);
  writeFileSync(path, bytes);
  const script =
    'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; z.extractall(sys.argv[2]); print("\\n".join(z.namelist()))';
  return python(script, [path, join(folder, to)])
    .trim()
    .split('\n');
}

function headOf(dimension: number, seed: number, more: Partial<Parameters<typeof solveHead>[0]> = {}): Head {
  let s = seed;
  const next = () => (s = (Math.imul(s, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  const vector = () => Float32Array.from({ length: dimension }, next);
  const examples = Array.from({ length: 9 }, (_, i): LearnExample => ({ id: `ex_${i}`, labelsOf: [i % 3], base: vector(), tuned: vector() }));
  const background = { base: [vector(), vector()], tuned: [vector(), vector()] };
  const labels = ['one', 'two', 'three'];
  const rest = { task: 'single_label', transform: 'l2', tunedMix: 0, trainedTemperature: 0.3, falseRejectRate: 0.1 } as const;
  return solveHead({ labels, dimension, examples, names: [null, null, null], background, ...rest, ...more })!.head;
}

const RUN = `
import json, sys
import numpy as np, onnx, onnxruntime
dir, merged, x = sys.argv[1], sys.argv[2], np.load(sys.argv[3])
def run(path, x, names=None):
    s = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return s.run(names, {s.get_inputs()[0].name: x})
onnx.checker.check_model(merged, full_check=True)
features = run(f"{dir}/trunk.onnx", x)[0]
s = onnxruntime.InferenceSession(merged, providers=["CPUExecutionProvider"])
names = [o.name for o in s.get_outputs()]
out = dict(zip(names, (v.tolist() for v in s.run(None, {s.get_inputs()[0].name: x}))))
metadata = {p.key: p.value for p in onnx.load(merged, load_external_data=False).metadata_props}
base = run(f"{dir}/tail.onnx", features)[0].tolist()
import os
own = sys.argv[4] if len(sys.argv) > 4 else f"{dir}/tuned"
through = run(f"{own}/trunk.onnx", x)[0] if os.path.exists(f"{own}/trunk.onnx") else features
tuned = run(f"{own}/tail.onnx", through)[0].tolist() if os.path.exists(own) else None
print(json.dumps({"outputs": names, "out": out, "base": base, "tuned": tuned, "metadata": metadata}))
`;
type Said = {
  outputs: string[];
  out: { probabilities: number[][]; unknown: boolean[] };
  base: number[][];
  tuned: number[][] | null;
  metadata: Record<string, string>;
};

function expectSame(head: Head, said: Said): void {
  for (const [i, base] of said.base.entries()) {
    const tuned = said.tuned?.[i];
    const answer = scoreHead(head, { base: Float32Array.from(base), tuned: tuned ? Float32Array.from(tuned) : null });
    for (const [c, label] of head.labels.entries())
      expect(said.out.probabilities[i]![c]).toBeCloseTo(answer.scores.find((s) => s.label === label)!.score, 5);
    expect(said.out.unknown[i]).toBe(answer.unknown);
  }
}

/** The head with the threshold at which half of these inputs are unknown, found by halving. */
function halfUnknown(head: Head, said: Said): Head {
  const at = (threshold: number): Head => ({ ...head, openSet: { ...head.openSet!, threshold } });
  const unknown = (threshold: number): number =>
    said.base.filter((base, i) => {
      const tuned = said.tuned?.[i];
      return scoreHead(at(threshold), { base: Float32Array.from(base), tuned: tuned ? Float32Array.from(tuned) : null }).unknown;
    }).length;
  let [low, high] = [-100, 100];
  while (high - low > 1e-3) {
    const middle = (low + high) / 2;
    if (unknown(middle) > said.base.length / 2) high = middle;
    else low = middle;
  }
  return at(low);
}

/** A trunk and two tails that use the same inner names, with weights outside (also inside an attribute) and one operator set more in a tail. */
const MAKE_TINY = `
import os
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper
rng = np.random.default_rng(3)
def save(path, nodes, weights, sides, names, domains=()):
    io = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", d]) for n, d in zip(names, sides)]
    init = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(helper.make_graph(nodes, "g", io[:1], io[1:], init), opset_imports=opsets, ir_version=8)
    helper.set_model_props(model, {"from": "test"})
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    onnx.save_model(model, path, save_as_external_data=True, location=os.path.basename(path) + ".data", size_threshold=0, convert_attribute=True)
layer = lambda x, y, op: [helper.make_node("MatMul", [x, "w"], ["h"], name="n0"), helper.make_node(op, ["h"], [y], name="n1")]
shift = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(rng.normal(size=6).astype(np.float32)))
more = [helper.make_node("MatMul", ["features", "w"], ["h"]), shift, helper.make_node("Add", ["h", "c"], ["i"]), helper.make_node("Gelu", ["i"], ["o"], domain="com.microsoft")]
save("tuned/tail.onnx", more, {"w": rng.normal(size=(5, 6))}, (5, 6), ("features", "o"), ["com.microsoft"])
save("whole/tail.onnx", layer("features", "embedding", "Tanh"), {"w": rng.normal(size=(5, 6))}, (5, 6), ("features", "embedding"))
save("trunk.onnx", layer("x", "features", "Relu"), {"w": rng.normal(size=(4, 5))}, (4, 5), ("x", "features"))
save("tail.onnx", layer("features", "embedding", "Sigmoid"), {"w": rng.normal(size=(5, 6))}, (5, 6), ("features", "embedding"))
np.save("x.npy", rng.normal(size=(20, 4)).astype(np.float32))
# A whole network of its own, the same inner names again; its trunk has large weights inside the file.
wide = [helper.make_node("MatMul", ["x", "w"], ["h"], name="n0"), helper.make_node("MatMul", ["h", "v"], ["features"], name="n1")]
io = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", d]) for n, d in (("x", 4), ("features", 5))]
inside = {"w": rng.normal(size=(4, 20000)), "v": rng.normal(size=(20000, 5)) / 100}
os.makedirs("whole", exist_ok=True)
graph = helper.make_graph(wide, "g", io[:1], io[1:], [numpy_helper.from_array(v.astype(np.float32), k) for k, v in inside.items()])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "whole/trunk.onnx")
`;

const EXAMPLE_MANIFEST: BackboneManifest = {
  format: 'graft-backbone-1',
  id: 'tiny',
  modality: 'image',
  dimension: 6,
  version: '1',
  license: 'Apache-2.0',
  source: 'made by the test',
  sha256: '0'.repeat(64),
  preprocessing: { kind: 'image', square_px: 256, input_px: 224, mean: 127, scale: 128 },
  accuracy: 'none',
  transform: 'l2',
  trunk: { model: { name: 'trunk.onnx', sha256: '0'.repeat(64), bytes: 1 }, data: null, inputs: ['x'], outputs: ['features'] },
  tail: { model: { name: 'tail.onnx', sha256: '0'.repeat(64), bytes: 1 }, data: null, inputs: ['features'], outputs: ['embedding'] },
  weights: { name: 'weights.safetensors', sha256: '0'.repeat(64), bytes: 1 },
  vocabulary: null,
  background: { name: 'background.safetensors', sha256: '0'.repeat(64), bytes: 1 },
  background_inputs: { name: 'background-inputs.safetensors', sha256: '0'.repeat(64), bytes: 1 },
  parity: { samples: 1, max_abs_difference: 0, min_cosine: 1 },
};
const originOf = (manifest: BackboneManifest): Origin => ({
  classifier: 'cls_test',
  name: 'Tiny',
  version: 2,
  createdAt: '2026-01-02T03:04:05.000Z',
  backbone: manifest.id,
  manifest,
  model: null,
});

describe('a tiny network', () => {
  const network = (size: number): Network => ({
    trunk: graphOf(folder, 'trunk.onnx', size),
    tail: graphOf(folder, 'tail.onnx', size),
    tuned: { trunk: null, tail: graphOf(join(folder, 'tuned'), 'tail.onnx', size) },
    input: 'x',
    vocabulary: null,
  });
  beforeAll(() => void python(MAKE_TINY, []));

  test.each([
    ['base alone', 0, 1],
    ['base and tuned', 0.5, 7],
    ['tuned, near rows of the base', 1, 100_000],
  ])('becomes one graph: %s', async (name, tunedMix, size) => {
    const solved = headOf(6, 4, { tunedMix });
    await unpack(await bundleOnnx(solved, originOf(EXAMPLE_MANIFEST), network(65_536)), `${name}, first`);
    const embedded = JSON.parse(python(RUN, [folder, join(folder, `${name}, first`, 'model.onnx'), join(folder, 'x.npy')])) as Said;
    const head = halfUnknown(solved, embedded);
    const names = await unpack(await bundleOnnx(head, originOf(EXAMPLE_MANIFEST), network(size)), name);
    const weights = ['trunk.onnx.data', 'tail.onnx.data', ...(tunedMix > 0 ? ['tuned.onnx.data'] : [])];
    expect(names).toEqual(['README.txt', 'labels.json', 'preprocessing.json', 'model.onnx', ...weights]);
    const said = JSON.parse(python(RUN, [folder, join(folder, name, 'model.onnx'), join(folder, 'x.npy')])) as Said;
    expect(said.outputs).toEqual(['logits', 'probabilities', 'unknown', 'nearest', 'nearest_similarity']);
    expect(new Set(said.out.unknown).size).toBe(2);
    expectSame(head, said);
    expect(said.metadata).toMatchObject({ from: 'test', classifier: 'cls_test', labels: '["one","two","three"]' });
  });

  const whole = (size: number) => ({
    trunk: graphOf(join(folder, 'whole'), 'trunk.onnx', size),
    tail: graphOf(join(folder, 'whole'), 'tail.onnx', size),
  });

  test.each([[7], [65_536]])('beside a whole network of the version becomes one graph of both, read in chunks of %i', async (size) => {
    const head = headOf(6, 4, { tunedMix: 0.5 });
    const to = `both-${size}`;
    const names = await unpack(await bundleOnnx(head, originOf(EXAMPLE_MANIFEST), { ...network(size), tuned: whole(size) }), to);
    expect(names).toEqual(['README.txt', 'labels.json', 'preprocessing.json', 'model.onnx', 'trunk.onnx.data', 'tail.onnx.data', 'tuned.onnx.data']);
    const args = [folder, join(folder, to, 'model.onnx'), join(folder, 'x.npy'), join(folder, 'whole')];
    const said = JSON.parse(python(RUN, args)) as Said;
    expect(said.tuned).not.toEqual(said.base);
    expectSame(head, said);
  });

  test('whose head reads the own network alone leaves the shared one out', async () => {
    const head = { ...headOf(6, 4, { tunedMix: 1 }), support: null, openSet: null };
    const names = await unpack(await bundleOnnx(head, originOf(EXAMPLE_MANIFEST), { ...network(100), tuned: whole(100) }), 'own');
    expect(names).toEqual(['README.txt', 'labels.json', 'preprocessing.json', 'model.onnx', 'tuned.onnx.data']);
    expectSame(head, JSON.parse(python(RUN, [folder, join(folder, 'own', 'model.onnx'), join(folder, 'x.npy'), join(folder, 'whole')])) as Said);
  });

  test('whose own trunk is damaged on the second reading breaks the download off', async () => {
    const own = whole(1_000);
    let readings = 0;
    const torn: SourceFile = {
      ...own.trunk.model,
      open: async () => {
        const bytes = new Uint8Array(await new Response(await own.trunk.model.open()).arrayBuffer());
        if (readings++ > 0) bytes[bytes.length >> 1]! ^= 1;
        return new Response(bytes).body!;
      },
    };
    const archive = await bundleOnnx(headOf(6, 4, { tunedMix: 0.5 }), originOf(EXAMPLE_MANIFEST), {
      ...network(1_000),
      tuned: { ...own, trunk: { model: torn, data: null } },
    });
    await expect(new Response(toStream(archive.chunks)).arrayBuffer()).rejects.toThrow(/damaged/);
    expect(readings).toBe(2);
  });

  test('that is damaged or does not fit is refused before a byte is sent', async () => {
    const head = headOf(6, 4, { tunedMix: 0.5 });
    const good = network(1_000);
    const origin = originOf(EXAMPLE_MANIFEST);
    const refuse = async (change: Partial<Network>, code: string) =>
      await expect(bundleOnnx(head, origin, { ...good, ...change })).rejects.toMatchObject({ code });
    const damaged = (files: GraphFiles): GraphFiles => ({ ...files, model: { ...files.model, sha256: '1'.repeat(64) } });
    await refuse({ trunk: damaged(good.trunk) }, 'unavailable');
    await refuse({ tail: damaged(good.tail) }, 'unavailable');
    await refuse({ tuned: null }, 'unavailable');
    await refuse({ tail: { ...good.tail, data: null } }, 'unavailable');
    await refuse({ trunk: { ...good.trunk, model: fileOf(join(folder, 'x.npy'), 'trunk.onnx', 1_000) } }, 'unavailable');
    python('import onnx; m = onnx.load("tail.onnx", load_external_data=False); m.opset_import[0].version = 18; onnx.save(m, "new.onnx")', []);
    await refuse({ tail: { ...good.tail, model: fileOf(join(folder, 'new.onnx'), 'tail.onnx', 1_000) } }, 'unprocessable');
  });

  test('whose weights are damaged breaks the download off', async () => {
    const good = network(1_000);
    const data = { ...good.trunk.data!, sha256: '1'.repeat(64) };
    const archive = await bundleOnnx(headOf(6, 4), originOf(EXAMPLE_MANIFEST), { ...good, trunk: { ...good.trunk, data } });
    await expect(new Response(toStream(archive.chunks)).arrayBuffer()).rejects.toThrow(/damaged/);
  });
});

test('edits are carried out wherever the chunks are cut', async () => {
  const bytes = Uint8Array.from({ length: 20 }, (_, i) => i);
  const edits = [
    { from: 0, to: 0, put: [Uint8Array.of(100)] },
    { from: 3, to: 9, put: [] },
    { from: 9, to: 10, put: [Uint8Array.of(101), Uint8Array.of(102)] },
    { from: 12, to: 12, put: [Uint8Array.of(103)] },
    { from: 20, to: 20, put: [Uint8Array.of(104)] },
  ];
  for (let size = 1; size <= 21; size++) {
    async function* chunks() {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    }
    const out: number[] = [];
    for await (const chunk of spliced(chunks(), edits)) out.push(...chunk);
    expect(out).toEqual([100, 0, 1, 2, 101, 102, 10, 11, 103, 12, 13, 14, 15, 16, 17, 18, 19, 104]);
    expect(splicedBytes(20, edits)).toBe(out.length);
  }
});

/** Smaller than the square, because enlarging is where resampling filters differ most. A PNG, whatever its name says. */
const MAKE_PICTURE = `
import numpy as np
from PIL import Image
y, x = np.mgrid[0:90, 0:120]
rgb = np.stack([127 + 100 * np.sin(x / 6), 127 + 100 * np.cos(y / 4), (x * y) % 256], axis=2)
Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).save("picture.jpg", format="PNG")
`;

/** Runs the README's code as it stands and hands the input that it made to the separate graphs. */
const RUN_README = `
import io, json, re, sys
from contextlib import redirect_stdout
import numpy as np
code = [line[4:] for line in open("README.txt", encoding="utf-8").read().split("\\n") if line.startswith("    ")]
said, room = io.StringIO(), {}
with redirect_stdout(said):
    exec("\\n".join(code), room)
np.save("x.npy", room["x"])
print(json.dumps({"lines": len(code), "said": json.loads(said.getvalue())}))
`;

describe.skipIf(!existsSync(BACKBONES))('a shipped backbone', () => {
  test('of texts, twice in one graph, as a whole network of the version would be', async () => {
    const dir = join(BACKBONES, SHIPPED_BACKBONES.text);
    const manifest = BackboneManifest.parse(JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')));
    const graphs = { trunk: graphOf(dir, 'trunk.onnx', 1 << 20), tail: graphOf(dir, 'tail.onnx', 1 << 20) };
    const head = headOf(manifest.dimension, 9, { transform: manifest.transform, tunedMix: 0.4 });
    const archive = await bundleOnnx(head, originOf(manifest), { ...graphs, tuned: graphs, input: manifest.trunk.inputs[0]!, vocabulary: null });
    await unpack(archive, 'twice');
    python('import numpy as np; np.save("tokens.npy", np.array([[101, 1996, 20463, 2097, 7180, 102]], np.int64))', []);
    const args = [dir, join(folder, 'twice', 'model.onnx'), join(folder, 'tokens.npy'), dir];
    const said = JSON.parse(python(RUN, args)) as Said;
    expect(said.tuned).toEqual(said.base);
    expectSame(head, said);
  });

  test.each(Object.values(SHIPPED_BACKBONES))('%s is run by the README', async (id) => {
    const dir = join(BACKBONES, id);
    const manifest = BackboneManifest.parse(JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')));
    const head = headOf(manifest.dimension, 9, { transform: manifest.transform });
    const network: Network = {
      trunk: graphOf(dir, 'trunk.onnx', 65_536),
      tail: graphOf(dir, 'tail.onnx', 65_536),
      tuned: null,
      input: manifest.trunk.inputs[0]!,
      vocabulary: manifest.vocabulary && fileOf(join(dir, 'vocab.txt'), 'vocab.txt', 65_536),
    };
    await unpack(await bundleOnnx(head, originOf(manifest), network), id);
    const here = join(folder, id);
    writeFileSync(join(here, 'text.txt'), 'The parcel will arrive on Tuesday.');
    python(MAKE_PICTURE, [], here);
    const readme = JSON.parse(python(RUN_README, [], here)) as { lines: number; said: { unknown: boolean; scores: Record<string, number> } };
    expect(readme.lines).toBe(10);
    const said = JSON.parse(python(RUN, [dir, join(here, 'model.onnx'), join(here, 'x.npy')])) as Said;
    expectSame(head, said);
    expect(readme.said.unknown).toBe(said.out.unknown[0]);
    expect(Object.keys(readme.said.scores)).toEqual(head.labels);
    if (manifest.preprocessing.kind === 'image') {
      const wasm = readFileSync(join(ROOT, 'shared/preprocess/imgdec.wasm'));
      const decoder = makeDecoder(new WebAssembly.Module(new Uint8Array(wasm)));
      const served = toNetworkInput(decoder.decodeSquare(new Uint8Array(readFileSync(join(here, 'picture.jpg')))).pixels, manifest.preprocessing);
      const x = JSON.parse(python('import json, numpy; print(json.dumps(numpy.load("x.npy").ravel().tolist()))', [], here)) as number[];
      const difference = served.reduce((sum, value, i) => sum + Math.abs(value - x[i]!), 0) / served.length;
      expect(difference * Number(manifest.preprocessing.scale)).toBeLessThan(1);
    }
    for (const [c, score] of Object.values(readme.said.scores).entries()) expect(score).toBeCloseTo(said.out.probabilities[0]![c]!, 6);
  });
});
