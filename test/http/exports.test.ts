/** Exports over HTTP: who may have what, which file comes, and that it is whole. What the files compute is in test/learning/exports*.test.ts. */
import { unzipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { models } from '../../functions/db/schema.ts';
import { SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import type { ModelManifest } from '../../shared/model-manifest.ts';
import type { Head } from '../../shared/head.ts';
import { decodeHead, encodeHead } from '../../shared/head-file.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { decodeSafetensors, encodeSafetensors, tensor } from '../../shared/safetensors.ts';
import { Backbone } from '../../shared/wire/backbones.ts';
import { Classifier, Version } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer, Example } from '../../shared/wire/examples.ts';
import { listOf } from '../../shared/wire/page.ts';
import { answer, bindings, call, newKey, newTenant, problem } from '../setup/harness.ts';
import { packPictures } from '../setup/pack.ts';
import { deps, publishTinyBackbone, TINY, tinyClassifier } from '../setup/training.ts';

async function make(key: string, more: object): Promise<string> {
  return (await answer(await call('/v1/classifiers', { key, json: { name: 'compass', ...more } }), 201, Classifier)).id;
}

async function taught(key: string, more: object = {}): Promise<{ id: string; version: number }> {
  const id = await make(key, { modality: 'vector', dimension: 4, ...more });
  const examples = [
    { label: 'north', vector: [1, 0, 0, 0] },
    { label: 'north', vector: [1, 0.1, 0, 0] },
    { label: 'east', vector: [0, 1, 0, 0] },
    { label: 'east', vector: [0, 1, 0.1, 0] },
  ];
  const { version } = await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
  return { id, version };
}

const download = async (key: string, id: string, n: number | string, query: string) =>
  await call(`/v1/classifiers/${id}/versions/${n}/export${query}`, { key });

/** The body, held against the headers that came before it. */
async function file(response: Response, type: string, name: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  expect(response.status, new TextDecoder().decode(bytes.subarray(0, 500))).toBe(200);
  expect(response.headers.get('content-type')).toBe(type);
  expect(response.headers.get('content-length')).toBe(String(bytes.byteLength));
  expect(response.headers.get('content-disposition')).toBe(`attachment; filename="${name}"`);
  return bytes;
}
const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
const json = (bytes: Uint8Array | undefined): unknown => JSON.parse(text(bytes));

describe('a version of a vector classifier', () => {
  it('comes as safetensors, with metadata that can be read', async () => {
    const { key } = await newTenant();
    const { id, version } = await taught(key);
    const bytes = await file(await download(key, id, version, '?format=safetensors'), 'application/octet-stream', `${id}-v${version}.safetensors`);
    const head = decodeHead(bytes);
    expect(head.labels).toEqual(['north', 'east']);
    const { metadata } = decodeSafetensors(bytes);
    expect(metadata).toMatchObject({ classifier: id, name: 'compass', version: String(version), labels: '["north","east"]', backbone: 'null' });
    expect(Number(metadata['temperature'])).toBe(head.temperature);
    expect(JSON.parse(metadata['open_set']!)).toMatchObject({ threshold: head.openSet!.threshold, false_reject_rate: 0.05 });
  });

  it('comes as ONNX, the same bytes each time', async () => {
    const { key } = await newTenant();
    const { id, version } = await taught(key);
    const get = async (query: string) =>
      await file(await download(key, id, version, query), 'application/octet-stream', `${id}-v${version}-head.onnx`);
    const bytes = await get('?format=onnx');
    expect(text(bytes)).toContain('probabilities');
    expect(await get('?format=onnx&part=head')).toEqual(bytes);
  });

  it('comes as a layers model in the files of Teachable Machine', async () => {
    const { key } = await newTenant();
    const { id, version } = await taught(key, { unknown: null, task: 'multi_label' });
    const files = unzipSync(await file(await download(key, id, version, '?format=tfjs'), 'application/zip', `${id}-v${version}-tfjs.zip`));
    expect(Object.keys(files)).toEqual(['model.json', 'weights.bin', 'metadata.json']);
    const model = json(files['model.json']) as { weightsManifest: { paths: string[]; weights: { shape: number[] }[] }[] };
    const [group] = model.weightsManifest;
    expect(group!.paths).toEqual(['weights.bin']);
    const values = group!.weights.reduce((sum, weight) => sum + weight.shape.reduce((product, side) => product * side, 1), 0);
    expect(files['weights.bin']!.byteLength).toBe(4 * values);
    expect(json(files['metadata.json'])).toMatchObject({
      modelName: 'compass',
      labels: ['north', 'east'],
      preprocessing: { backbone: null, inputs: [{ name: 'embedding', shape: [null, 4], elementwise: 'none' }] },
    });
  });

  it('that is not the active one comes as it was', async () => {
    const { key } = await newTenant();
    const { id, version } = await taught(key);
    const before = await file(await download(key, id, version, '?format=safetensors'), 'application/octet-stream', `${id}-v${version}.safetensors`);
    const more = [{ label: 'south', vector: [0, 0, 0, 1] }];
    await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples: more } }), 201, EnrollAnswer);
    const after = await file(await download(key, id, version, '?format=safetensors'), 'application/octet-stream', `${id}-v${version}.safetensors`);
    expect(after).toEqual(before);
  });
});

describe('an export that cannot be', () => {
  it('is refused with the reason', async () => {
    const { key } = await newTenant();
    const { id, version } = await taught(key);
    const refuse = async (query: string, code: Parameters<typeof problem>[1], n: number | string = version) =>
      await problem(await download(key, id, n, query), code);
    expect((await refuse('', 'invalid_request')).param).toBe('format');
    expect((await refuse('?format=pickle', 'invalid_request')).param).toBe('format');
    expect((await refuse('?format=onnx&part=tail', 'invalid_request')).param).toBe('part');
    expect((await refuse('?format=tfjs&part=all', 'invalid_request')).param).toBe('part');
    expect((await refuse('?format=onnx&part=all', 'unprocessable')).param).toBe('part');
    await refuse('?format=onnx', 'not_found', 99);
    await refuse('?format=onnx', 'not_found', 'latest');
    const empty = await make(key, { modality: 'vector', dimension: 4 });
    await problem(await download(key, empty, 1, '?format=onnx'), 'nothing_to_predict');
    // A head that saw an example is gone with it: that is not the same as never having had one, and can be mended.
    const { data } = await answer(await call(`/v1/classifiers/${id}/examples`, { key }), 200, listOf(Example, 'ExampleList'));
    await call(`/v1/classifiers/${id}/examples/${data[0]!.id}`, { key, method: 'DELETE' });
    expect((await refuse('?format=onnx', 'nothing_to_predict')).detail).toContain('Activating it solves it again');
    const back = await answer(await call(`/v1/classifiers/${id}/versions/${version}/activate`, { key, method: 'POST' }), 200, Version);
    expect((await download(key, id, back.n, '?format=onnx')).status).toBe(200);
  });

  it('is told when its backbone is not in the catalogue, while the head alone comes', async () => {
    const { key, tenant } = await newTenant();
    await publishTinyBackbone();
    const id = await tinyClassifier(tenant, 2);
    await deps.objects.delete([objectKeys.backboneManifest(TINY)]);
    const { version } = await answer(await call(`/v1/classifiers/${id}`, { key }), 200, Classifier);
    expect((await problem(await download(key, id, version, '?format=onnx'), 'unavailable')).detail).toContain('tiny-image');
    await file(await download(key, id, version, '?format=onnx&part=head'), 'application/octet-stream', `${id}-v${version}-head.onnx`);
  });

  it('looks the same for a stranger as for an id that nobody has', async () => {
    const { key } = await newTenant();
    const { id, version } = await taught(key);
    const stranger = (await newTenant()).key;
    const [real, made] = [
      await problem(await download(stranger, id, version, '?format=safetensors'), 'not_found'),
      await problem(await download(stranger, 'cls_nobody', version, '?format=safetensors'), 'not_found'),
    ];
    expect(real.detail.replace(id, 'cls_nobody')).toBe(made.detail);
  });

  it('needs a key with enroll or train', async () => {
    const { key } = await newTenant();
    const { id, version } = await taught(key);
    for (const scope of ['enroll', 'train'] as const) {
      const other = await newKey(key, [scope]);
      const name = `${id}-v${version}.safetensors`;
      await file(await download(other.key, id, version, '?format=safetensors'), 'application/octet-stream', name);
    }
    await problem(await download((await newKey(key, ['predict'])).key, id, version, '?format=safetensors'), 'forbidden');
  });
});

describe.skipIf(!bindings.HAS_BACKBONES)('a version over a shipped backbone', () => {
  it.each([
    ['image', []],
    ['text', ['vocab.txt']],
  ] as const)('%s: comes as one graph with everything beside it, or as its head', async (modality, beside) => {
    const { key } = await newTenant();
    const id = await make(key, { modality, labels: [{ name: 'spam' }, { name: 'letter' }] });
    if (modality === 'image') {
      const form = new FormData();
      form.append('label', 'spam');
      for (const bytes of packPictures('bird').slice(0, 2)) form.append('file', new File([bytes as BlobPart], 'bird.png', { type: 'image/png' }));
      await answer(await call(`/v1/classifiers/${id}/examples`, { key, body: form }), 201, EnrollAnswer);
    }
    const { version } = await answer(await call(`/v1/classifiers/${id}`, { key }), 200, Classifier);
    const files = unzipSync(await file(await download(key, id, version, '?format=onnx'), 'application/zip', `${id}-v${version}-onnx.zip`));
    // Weights are beside the graph, or in it where a backbone was published so.
    const { trunk, tail } = (await deps.catalogue.get(SHIPPED_BACKBONES[modality]))!;
    const weights = [trunk.data && 'trunk.onnx.data', tail.data && 'tail.onnx.data'].filter((name) => name !== null);
    expect(Object.keys(files)).toEqual(['README.txt', 'labels.json', 'preprocessing.json', 'model.onnx', ...weights, ...beside]);
    expect(json(files['labels.json'])).toEqual(['spam', 'letter']);
    const list = await answer(await call('/v1/backbones', { key }), 200, listOf(Backbone, 'BackboneList'));
    const backbone = list.data.find((b) => b.modality === modality)!;
    expect(json(files['preprocessing.json'])).toMatchObject({ kind: modality, backbone: { id: backbone.id, sha256: backbone.sha256 } });
    expect(text(files['README.txt'])).toContain(modality === 'image' ? 'picture.jpg' : 'text.txt');
    const head = await file(await download(key, id, version, '?format=onnx&part=head'), 'application/octet-stream', `${id}-v${version}-head.onnx`);
    expect(files['model.onnx']!.byteLength).toBeGreaterThan(head.byteLength + trunk.model.bytes);
    const tfjs = unzipSync(await file(await download(key, id, version, '?format=tfjs'), 'application/zip', `${id}-v${version}-tfjs.zip`));
    const from = { from: 'embedding', elementwise: modality === 'image' ? 'sqrt(max(x, 0))' : 'none' };
    // A zero-shot component of pictures reads the plain embedding as well.
    const inputs = expect.arrayContaining([expect.objectContaining(from)]) as unknown;
    expect(json(tfjs['metadata.json'])).toMatchObject({ preprocessing: { backbone: { kind: modality }, inputs } });
  });

  it('that was fine-tuned brings its own tail along, and is told of when that is gone', async () => {
    const { key, tenant } = await newTenant();
    const id = await make(key, { modality: 'image', labels: [{ name: 'a' }, { name: 'b' }] });
    const { version, tail } = await tunedVersion(tenant, id);
    const files = unzipSync(await file(await download(key, id, version, '?format=onnx'), 'application/zip', `${id}-v${version}-onnx.zip`));
    const weights = ['trunk.onnx.data', 'tail.onnx.data', 'tuned.onnx.data'];
    expect(Object.keys(files)).toEqual(['README.txt', 'labels.json', 'preprocessing.json', 'model.onnx', ...weights]);
    expect(files['tuned.onnx.data']).toEqual(files['tail.onnx.data']);
    const model = text(files['model.onnx']);
    for (const name of ['tail/', 'tuned/', 'tuned.onnx.data']) expect(model).toContain(name);
    const tfjs = unzipSync(await file(await download(key, id, version, '?format=tfjs'), 'application/zip', `${id}-v${version}-tfjs.zip`));
    expect(json(tfjs['metadata.json'])).toMatchObject({ preprocessing: { inputs: [{ from: 'embedding' }, { from: 'tuned' }] } });
    await deps.objects.delete([tail]);
    await problem(await download(key, id, version, '?format=onnx'), 'unavailable');
    await file(await download(key, id, version, '?format=onnx&part=head'), 'application/octet-stream', `${id}-v${version}-head.onnx`);
  });

  it('that runs on a whole network of its own brings both networks along', async () => {
    const { key, tenant } = await newTenant();
    const id = await make(key, { modality: 'image', labels: [{ name: 'a' }, { name: 'b' }] });
    const { version } = await tunedVersion(tenant, id, true);
    const files = unzipSync(await file(await download(key, id, version, '?format=onnx&part=all'), 'application/zip', `${id}-v${version}-onnx.zip`));
    const weights = ['trunk.onnx.data', 'tail.onnx.data', 'tuned-trunk.onnx.data', 'tuned.onnx.data'];
    expect(Object.keys(files)).toEqual(['README.txt', 'labels.json', 'preprocessing.json', 'model.onnx', ...weights]);
    expect(files['tuned-trunk.onnx.data']).toEqual(files['trunk.onnx.data']);
    const model = text(files['model.onnx']);
    for (const name of ['tail/', 'tuned/', 'tuned-trunk/', 'tuned-trunk.onnx.data']) expect(model).toContain(name);
  });
});

/** A version with a tuned component, taken over as a job's completion does it; its tail, and `whole` its trunk, are copies of the backbone's own. */
async function tunedVersion(tenant: string, id: string, whole = false): Promise<{ version: number; tail: string }> {
  const manifest = (await deps.catalogue.get(SHIPPED_BACKBONES.image))!;
  const { dimension: d, transform } = manifest;
  const model = deps.newId('model');
  const keys = { head: `tests/${model}/head`, embeddings: `tests/${model}/embeddings`, tail: `tests/${model}/tail`, data: `tests/${model}/data` };
  const part = (embedding: 'base' | 'tuned') => {
    const weight = Float32Array.from({ length: 2 * d }, (_, i) => Math.sin(i));
    return {
      embedding,
      name: 'ridge',
      transform,
      dimension: d,
      kernel: null,
      center: new Float32Array(d),
      weight,
      bias: new Float32Array(2),
      mix: 0.5,
    };
  };
  const components = [part('base'), part('tuned')];
  const head: Head = { labels: ['a', 'b'], task: 'single_label', components, temperature: 0.2, openSet: null, support: null, standardisation: null };
  const rows = { base: tensor('F32', [2, d], new Float32Array(2 * d).fill(1)), tuned: tensor('F32', [2, d], new Float32Array(2 * d).fill(1)) };
  const numbers = { labels: tensor('I32', [2], Int32Array.of(0, 1)), rows: tensor('I32', [2], Int32Array.of(0, 1)) };
  const { tail: graph, trunk } = manifest;
  const ownTrunk = { 'trunk.onnx': objectKeys.blob(trunk.model.sha256), 'trunk.onnx.data': objectKeys.blob(trunk.data!.sha256) };
  await deps.objects.put(keys.head, encodeHead(head));
  await deps.objects.put(keys.embeddings, encodeSafetensors({ ...rows, ...numbers }));
  await deps.objects.put(keys.tail, (await deps.objects.get(objectKeys.blob(graph.model.sha256)))!);
  await deps.objects.put(keys.data, (await deps.objects.get(objectKeys.blob(graph.data!.sha256)))!);
  const trained: ModelManifest = {
    format: 'graft-model-1',
    job: `job_of_${model}`,
    base_backbone: manifest.id,
    base_sha256: manifest.sha256,
    modality: 'image',
    dimension: d,
    labels: ['a', 'b'],
    seed: 1,
    dataset_digest: null,
    tuned: true,
    network: whole ? 'whole' : 'tail',
    parity: null,
    lineage: {},
    files: [
      { ...graph.model, name: 'tail.onnx' },
      { ...graph.data!, name: 'tail.onnx.data' },
      ...(whole
        ? [
            { ...trunk.model, name: 'trunk.onnx' as const },
            { ...trunk.data!, name: 'trunk.onnx.data' as const },
          ]
        : []),
    ],
  };
  const row = { id: model, tenantId: tenant, jobId: trained.job, classifierId: id, backbone: manifest.id, manifest: trained, createdAt: 1 };
  await deps.db
    .insert(models)
    .values({ ...row, files: { 'tail.onnx': keys.tail, 'tail.onnx.data': keys.data, ...(whole ? ownTrunk : {}) }, deletedAt: null });
  const taken = await deps.classifier(id).takeTrained({
    job: trained.job,
    model,
    backbone: manifest.id,
    headKey: keys.head,
    embeddingsKey: keys.embeddings,
    datasetId: 'ds_test',
    enrolledIds: [],
    evidence: null,
    comparedWith: 1,
    activate: false,
  });
  if (!taken.ok) throw new Error(taken.detail);
  return { version: taken.value.version, tail: keys.tail };
}
