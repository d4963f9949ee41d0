/**
 * A trainer host played by the test over the real `/runner/v1`: real uploads to the real object store, small but well-formed files. The tiny backbone
 * of eight dimensions stands in for a catalogue entry, because these rooms only hand its files on.
 */
import { expect } from 'vitest';
import { SHIPPED_BACKBONES, type BackboneManifest, type Task } from '../../shared/catalogue.ts';
import type { DatasetManifest } from '../../shared/dataset.ts';
import type { EngineResult, HeldOut } from '../../shared/engine.ts';
import type { ModelManifest } from '../../shared/model-manifest.ts';
import type { Head } from '../../shared/head.ts';
import { encodeHead } from '../../shared/head-file.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { ArtifactsResponse, Lease, type CompleteRequest, type UploadTarget } from '../../shared/runner.ts';
import { encodeSafetensors, tensor } from '../../shared/safetensors.ts';
import { Dataset, Upload } from '../../shared/wire/datasets.ts';
import { Job } from '../../shared/wire/jobs.ts';
import { depsFor } from '../../functions/deps.ts';
import { sha256Hex } from '../../functions/domain/digests.ts';
import { answer, bindings, call } from './harness.ts';

export const RUNNER = bindings.GRAFT_RUNNER_TOKEN;
export const TINY = 'tiny-image';
export const DIMENSION = 8;
export const LABELS = ['apple', 'pear'] as const;
export const deps = depsFor(bindings);
const utf8 = new TextEncoder();

export type NamedBytes = { readonly name: string; readonly bytes: Uint8Array };
export const named = async (file: NamedBytes) => ({ name: file.name, sha256: await sha256Hex(file.bytes), bytes: file.bytes.length });

/** Puts the tiny backbone where set-up puts the real ones. */
export async function publishTinyBackbone(): Promise<void> {
  const rows = Float32Array.from({ length: 16 * DIMENSION }, (_, i) => Math.abs(Math.sin(i * 7.3)));
  const put = async (name: string, bytes: Uint8Array) => {
    const file = await named({ name, bytes });
    await deps.objects.put(objectKeys.blob(file.sha256), bytes);
    return file;
  };
  const graph = async (name: string) => ({ model: await put(`${name}.onnx`, utf8.encode(name)), data: null, inputs: ['in'], outputs: ['out'] });
  const manifest: BackboneManifest = {
    format: 'graft-backbone-1',
    id: TINY,
    modality: 'image',
    dimension: DIMENSION,
    version: '1',
    license: 'Apache-2.0',
    source: 'made by the tests',
    sha256: '0'.repeat(64),
    preprocessing: { kind: 'image', square_px: 256, input_px: 224, mean: 127, scale: 128 },
    accuracy: 'none',
    transform: 'l2',
    trunk: await graph('trunk'),
    tail: await graph('tail'),
    weights: await put('weights.safetensors', utf8.encode('weights')),
    vocabulary: null,
    background: await put('background.safetensors', encodeSafetensors({ embeddings: tensor('F32', [16, DIMENSION], rows) })),
    background_inputs: await put('background-inputs.safetensors', utf8.encode('inputs')),
    parity: { samples: 1, max_abs_difference: 0, min_cosine: 1 },
  };
  await deps.objects.put(objectKeys.backboneManifest(TINY), utf8.encode(JSON.stringify(manifest)));
  expect(Object.values(SHIPPED_BACKBONES)).not.toContain(TINY);
}

/** A classifier over the tiny backbone; `examples` of each label make it serve a head. */
export async function tinyClassifier(tenant: string, examples: number, task: Task = 'single_label'): Promise<string> {
  const id = deps.newId('classifier');
  const row = `insert into classifiers (id, tenant_id, name, modality, backbone, dimension, task, created_at) values (?, ?, 'tiny', 'image', ?, ?, ?, 1)`;
  await deps.d1.prepare(row).bind(id, tenant, TINY, DIMENSION, task).run();
  const object = deps.classifier(id);
  const config = {
    id,
    tenant,
    modality: 'image',
    backbone: TINY,
    dimension: DIMENSION,
    transform: 'l2',
    task,
    falseRejectRate: null,
  } as const;
  await object.create(
    config,
    LABELS.map((name) => ({ name, description: null, embedding: null })),
  );
  const made = LABELS.flatMap((label, k) =>
    Array.from({ length: examples }, (_, i) => ({
      id: deps.newId('example'),
      labels: [label],
      base: Float32Array.from({ length: DIMENSION }, (_, j) => (j === k ? 1 : 0.1 * ((i + j) % 3))),
      tuned: null,
      sha256: '1'.repeat(64),
      contentType: 'image/png',
      objectKey: `tests/${id}/${label}/${i}`,
      externalId: null,
    })),
  );
  if (made.length > 0) await object.enroll(made, []);
  return id;
}

export const runner = async (path: string, json: unknown) => await call(`/runner/v1/${path}`, { method: 'POST', key: RUNNER, json });

export async function lease(kinds: readonly ('validate' | 'train')[], host = 'host-a'): Promise<Lease> {
  return await answer(await runner('lease', { host, capacity: { kinds, device: 'cpu' }, wait_seconds: 0 }), 200, Lease);
}

export async function put(target: UploadTarget, bytes: Uint8Array): Promise<Response> {
  return await fetch(target.url, { method: 'PUT', headers: target.headers, body: bytes as BodyInit });
}

/** Uploads files under a lease, as a host does. */
export async function sendFiles(token: string, files: readonly NamedBytes[]): Promise<void> {
  const asked = await runner(`leases/${token}/artifacts`, { files: await Promise.all(files.map(named)) });
  const { uploads } = await answer(asked, 200, ArtifactsResponse);
  for (const file of files) {
    const response = await put(uploads[file.name]!, file.bytes);
    expect(response.status, await response.text()).toBe(200);
  }
}

/** `change` goes over the manifest: the files stay those of two labels, unless `contents` has others by name. */
export async function frozenFiles(
  change: Partial<DatasetManifest> = {},
  contents: Readonly<Record<string, Uint8Array>> = {},
): Promise<{ files: NamedBytes[]; manifest: DatasetManifest }> {
  const n = 12;
  const arrays = encodeSafetensors({
    pixels: tensor('U8', [n, 2, 2, 3], new Uint8Array(n * 12)),
    labels: tensor(
      'I32',
      [n],
      Int32Array.from({ length: n }, (_, i) => i % 2),
    ),
    split: tensor(
      'U8',
      [n],
      Uint8Array.from({ length: n }, (_, i) => (i < 8 ? 0 : 2)),
    ),
  });
  const rows = Array.from({ length: n }, (_, i) =>
    JSON.stringify({ row: i, file: `${i}.png`, label: LABELS[i % 2], split: i < 8 ? 'train' : 'test', sha256: `${i}` }),
  );
  const files = [
    { name: 'dataset.safetensors', bytes: arrays },
    { name: 'rows.jsonl', bytes: utf8.encode(`${rows.join('\n')}\n`) },
  ].map(({ name, bytes }) => ({ name, bytes: contents[name] ?? bytes }));
  const listed = await Promise.all(files.map(named));
  const manifest: DatasetManifest = {
    format: 'graft-dataset-1',
    modality: 'image',
    task: 'single_label',
    labels: [...LABELS],
    rows: n,
    counts: { train: { apple: 4, pear: 4 }, validation: {}, test: { apple: 2, pear: 2 } },
    unlabelled: 0,
    digest: await sha256Hex(listed.map((file) => file.sha256).join('\n')),
    files: listed,
    tasks: [],
    errors: [{ file: 'broken.png', code: 'picture_truncated', detail: 'The picture is truncated.' }],
    error_count: 1,
    split_seed: 1,
    ...change,
  };
  return { files, manifest };
}

/** Takes what other tests left in the queue out of it. */
export async function clearQueue(): Promise<void> {
  await deps.d1.prepare(`update work set status = 'dead' where status = 'queued'`).run();
}

/** Makes a dataset (`more` goes over what is asked for) and uploads `bytes` in one part, up to `validating`. */
export async function uploadedDataset(key: string, bytes = utf8.encode('not really a zip'), more: Record<string, unknown> = {}): Promise<Dataset> {
  const json = { name: 'fruit', modality: 'image', format: 'imagefolder', ...more };
  const made = await answer(await call('/v1/datasets', { key, json }), 201, Dataset);
  const path = `/v1/datasets/${made.id}/uploads`;
  const upload = await answer(await call(path, { key, json: { filename: 'fruit.zip', bytes: bytes.length } }), 201, Upload);
  const etags = await sendParts(upload, bytes);
  return await answer(await call(`${path}/${upload.upload_id}/complete`, { key, json: { parts: etags } }), 200, Dataset);
}

export async function sendParts(upload: Upload, bytes: Uint8Array): Promise<{ number: number; etag: string }[]> {
  const etags: { number: number; etag: string }[] = [];
  for (const { number, url } of upload.parts) {
    const part = bytes.subarray((number - 1) * upload.part_bytes, number * upload.part_bytes);
    const response = await fetch(url, { method: 'PUT', body: part as BodyInit });
    expect(response.status, await response.text()).toBe(200);
    etags.push({ number, etag: response.headers.get('etag') ?? '' });
  }
  return etags;
}

export async function readyDataset(
  key: string,
  change: Partial<DatasetManifest> = {},
  contents: Readonly<Record<string, Uint8Array>> = {},
): Promise<Dataset> {
  // Pictures with several labels come as lines.
  const { id } = await uploadedDataset(key, undefined, change.task === 'multi_label' ? { task: change.task, format: 'jsonl' } : {});
  const leased = await lease(['validate']);
  expect(leased.work).toMatchObject({ kind: 'validate', dataset: id });
  const { files, manifest } = await frozenFiles(change, contents);
  await sendFiles(leased.token, files);
  const done = await runner(`leases/${leased.token}/complete`, { kind: 'validate', ready: true, manifest, errors: manifest.errors, error_count: 1 });
  expect(done.status, await done.text()).toBe(200);
  return await answer(await call(`/v1/datasets/${id}`, { key }), 200, Dataset);
}

export async function newJob(key: string, more: Record<string, unknown>): Promise<Job> {
  return await answer(await call('/v1/training/jobs', { key, json: { backbone: TINY, ...more } }), 201, Job);
}

/** Held-out answers on `rows` rows: right with the first `right` rows of each contender. */
export function heldOutOf(rows: number, right: { candidate: number; incumbent: number | null; frozen?: number; baseline?: number }): HeldOut {
  const truth = Array.from({ length: rows }, (_, i) => i % LABELS.length);
  const answers = (good: number) => ({ prediction: truth.map((label, i) => (i < good ? label : 1 - label)), confidence: truth.map(() => 0.8) });
  return {
    split: 'test',
    labels: [...LABELS],
    rows: truth.map((_, i) => 1_000 + i),
    truth,
    candidate: answers(right.candidate),
    incumbent: right.incumbent === null ? null : answers(right.incumbent),
    frozen: answers(right.frozen ?? right.candidate),
    baseline: answers(right.baseline ?? rows / 2),
    zero_shot: null,
    scratch: null,
    source_only: null,
  };
}

/** Labels of row `i` of a trained model: in turns one of them, or of several none, the first, the second, both. */
export const trainedLabels = (i: number, task: Head['task'] = 'single_label'): number[] =>
  task === 'single_label' ? [i % 2] : [0, 1].filter((c) => ((i >> c) & 1) === 1);

/** `manifest` goes over the model's manifest; `graphs` are further files that it names. `tuned`: its head reads a network of its own. */
export async function trainedFiles(
  job: string,
  more: { labels?: readonly string[]; manifest?: Partial<ModelManifest>; graphs?: readonly NamedBytes[]; task?: Head['task']; tuned?: boolean } = {},
): Promise<NamedBytes[]> {
  const labels = more.labels ?? LABELS;
  const weight = Float32Array.from({ length: labels.length * DIMENSION }, (_, i) => (i % (DIMENSION + 1) === 0 ? 2 : 0));
  const head: Head = {
    labels,
    task: more.task ?? 'single_label',
    components: [
      {
        embedding: more.tuned ? 'tuned' : 'base',
        name: 'ridge',
        transform: 'l2',
        dimension: DIMENSION,
        kernel: null,
        center: new Float32Array(DIMENSION),
        weight,
        bias: new Float32Array(labels.length),
        mix: 1,
      },
    ],
    temperature: 0.1,
    openSet: null,
    support: null,
    standardisation: null,
  };
  const rows = 8;
  const labelsOf = Array.from({ length: rows }, (_, i) => trainedLabels(i, more.task));
  const base = Float32Array.from({ length: rows * DIMENSION }, (_, i) => (labelsOf[Math.floor(i / DIMENSION)]!.includes(i % DIMENSION) ? 1 : 0.05));
  const present = Uint8Array.from({ length: rows * labels.length }, (_, i) =>
    labelsOf[Math.floor(i / labels.length)]!.includes(i % labels.length) ? 1 : 0,
  );
  const files: NamedBytes[] = [
    { name: 'head.safetensors', bytes: encodeHead(head) },
    {
      name: 'embeddings.safetensors',
      bytes: encodeSafetensors({
        base: tensor('F32', [rows, DIMENSION], base),
        ...(more.tuned ? { tuned: tensor('F32', [rows, DIMENSION], base) } : {}),
        labels: tensor(
          'I32',
          [rows],
          Int32Array.from(labelsOf, (own) => (more.task === 'multi_label' ? 0 : own[0]!)),
        ),
        ...(more.task === 'multi_label' ? { present: tensor('U8', [rows, labels.length], present) } : {}),
        rows: tensor(
          'I32',
          [rows],
          Int32Array.from({ length: rows }, (_, i) => i),
        ),
      }),
    },
  ];
  files.push(...(more.graphs ?? []));
  const manifest: ModelManifest = {
    format: 'graft-model-1',
    job,
    base_backbone: TINY,
    base_sha256: '0'.repeat(64),
    modality: 'image',
    dimension: DIMENSION,
    labels: [...labels],
    seed: 1,
    dataset_digest: null,
    tuned: false,
    network: 'base',
    parity: null,
    lineage: {},
    files: (await Promise.all(files.map(named))) as ModelManifest['files'],
    ...more.manifest,
  };
  return [...files, { name: 'manifest.json', bytes: utf8.encode(JSON.stringify(manifest)) }];
}

export async function completionOf(
  files: readonly NamedBytes[],
  heldOut: EngineResult['held_out'],
  labels: readonly string[] = LABELS,
): Promise<CompleteRequest> {
  const result: EngineResult = {
    method: { asked: 'auto', used: 'linear_probe' },
    hyperparameters: { penalty: 1 },
    tuned_mix: 0,
    mix_curve: [{ mix: 0, accuracy: 0.9 }],
    temperature: 0.1,
    labels: [...labels],
    held_out: heldOut,
    train_rows: 8,
    seconds: 1.5,
    device: 'cpu',
    losses: [],
    network: 'base',
    parity: null,
    tasks: [],
    evidence: {},
    notes: [],
  };
  const artifacts = (await Promise.all(files.map(named))) as Extract<CompleteRequest, { kind: 'train' }>['artifacts'];
  return { kind: 'train', result, artifacts, enrolled_ids: [] };
}
