/** Networks from other frameworks as backbones: added by the operator, checked before they are listed, taught and asked by tenants. */
import { afterAll, describe, expect, it } from 'vitest';
import { objectKeys } from '../../shared/object-keys.ts';
import { Backbone, DeletedBackbone } from '../../shared/wire/backbones.ts';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { Job } from '../../shared/wire/jobs.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Prediction } from '../../shared/wire/predictions.ts';
import { Report } from '../../shared/wire/report.ts';
import { depsFor } from '../../functions/deps.ts';
import { sha256Hex } from '../../functions/domain/digests.ts';
import { answer, bindings, call, newTenant, OPERATOR, problem } from '../setup/harness.ts';
import { fixtureNetwork, fixtureReference } from '../setup/networks.ts';
import { makePng } from '../setup/png.ts';
import { readyDataset } from '../setup/training.ts';

const deps = depsFor(bindings);
/** The store is one for the whole run: what is added here must not be in other files' catalogues. */
afterAll(async () => await deps.objects.delete([objectKeys.backboneIndex]));
const base64 = (bytes: Uint8Array): string => btoa(bytes.reduce((text, b) => text + String.fromCharCode(b), ''));
const FOREIGN = { modality: 'image', version: '1', license: 'Apache-2.0', source: 'test/fixtures/backbones' };
const IMAGENET = { mean: [123.675, 116.28, 103.53], scale: [58.395, 57.12, 57.375] };

/** What an operator sends for a fixture. */
async function bodyOf(name: string, more: object = {}): Promise<Record<string, unknown>> {
  const onnx = fixtureNetwork(name);
  const preprocessing = { kind: 'image', input_px: 16, resize_px: 18, mean: 0, scale: 255 };
  return { id: name, ...FOREIGN, sha256: await sha256Hex(onnx), preprocessing, onnx: base64(onnx), ...more };
}
const add = async (body: unknown): Promise<Response> => await call('/v1/backbones', { key: OPERATOR, json: body });
const remove = async (id: string): Promise<Response> => await call(`/v1/backbones/${id}`, { method: 'DELETE', key: OPERATOR });
const pytorch = async (more: object = {}): Promise<Record<string, unknown>> =>
  await bodyOf('pytorch', { preprocessing: { kind: 'image', input_px: 64, resize_px: 73, ...IMAGENET }, transform: 'sqrt_l2', ...more });
const keras = async (more: object = {}): Promise<Record<string, unknown>> =>
  await bodyOf('keras', { preprocessing: { kind: 'image', input_px: 96, resize_px: 110, mean: 127.5, scale: 127.5, layout: 'nhwc' }, ...more });

async function listed(key: string): Promise<Map<string, Backbone>> {
  const { data } = await answer(await call('/v1/backbones', { key }), 200, listOf(Backbone, 'List'));
  return new Map(data.map((backbone) => [backbone.id, backbone]));
}

const COLOURS = { red: [200, 40, 40], green: [40, 200, 40], blue: [40, 40, 200] } as const;
/** A square of a label's colour with some noise. */
function coloured(label: keyof typeof COLOURS, seed: number): Uint8Array<ArrayBuffer> {
  const noise = (i: number): number => (Math.imul(i + seed * 7_919, 2_654_435_761) >>> 13) & 31;
  const at = (c: number, i: number): number => COLOURS[label][c]! + noise(3 * i + c);
  return Uint8Array.from(makePng(48, 48, (x, y) => [at(0, 48 * y + x), at(1, 48 * y + x), at(2, 48 * y + x)]));
}

/** Teaches three colours with three pictures each, and expects others to be told apart. */
async function taught(key: string, backbone: string): Promise<string> {
  const labels = ['red', 'green', 'blue'] as const;
  const made = await call('/v1/classifiers', { key, json: { name: 'foreign', modality: 'image', backbone, unknown: null } });
  const { id } = await answer(made, 201, Classifier);
  const examples = labels.flatMap((label) => [1, 2, 3].map((seed) => ({ label, image: base64(coloured(label, seed)) })));
  const { version } = await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
  for (const label of labels) {
    const asked = { key, body: coloured(label, 9), headers: { 'content-type': 'image/png' } };
    const prediction = await answer(await call(`/v1/classifiers/${id}/predict?min_version=${version}`, asked), 200, Prediction);
    expect(prediction.label).toBe(label);
  }
  return id;
}

/** The whole road from bytes to embedding against the network's own framework. */
async function expectParity(backbone: string): Promise<void> {
  const { rgb, embedding } = fixtureReference(backbone);
  const { base } = await deps.encoder.encode({ kind: 'image', bytes: makePng(40, 40, () => rgb) }, { backbone, model: null });
  expect(base).toHaveLength(embedding.length);
  const largest = Math.max(...embedding.map(Math.abs));
  for (const [i, value] of embedding.entries()) expect(Math.abs(base[i]! - value)).toBeLessThan(1e-4 * largest);
}

describe('a network from PyTorch', () => {
  it('is checked, listed with what it takes, taught, and cannot go while a classifier stands on it', async () => {
    const { key } = await newTenant();
    const added = await answer(await add(await pytorch({ dimension: 96 })), 201, Backbone);
    expect(added).toMatchObject({ id: 'pytorch', dimension: 96, serving: { edge: true }, accuracy: 'not measured' });
    expect(added.serving.milliseconds).toBeGreaterThanOrEqual(0);
    expect(added.serving.memory_bytes).toBeGreaterThan(40_000);
    expect((await listed(key)).get('pytorch')).toEqual(added);
    await expectParity('pytorch');
    const id = await taught(key, 'pytorch');
    expect((await answer(await call(`/v1/classifiers/${id}/report`, { key }), 200, Report)).object).toBe('report');
    expect((await problem(await remove('pytorch'), 'conflict')).detail).toContain('1 classifiers');
    expect((await call(`/v1/classifiers/${id}`, { method: 'DELETE', key })).status).toBe(200);
    await answer(await remove('pytorch'), 200, DeletedBackbone);
    expect((await listed(key)).has('pytorch')).toBe(false);
    expect(await deps.objects.head(objectKeys.backboneManifest('pytorch'))).toBeNull();
    await problem(await remove('pytorch'), 'not_found');
    const again = await call('/v1/classifiers', { key, json: { name: 'gone', modality: 'image', backbone: 'pytorch' } });
    await problem(again, 'unknown_backbone');
    // The same network may come back under its id, another one may not.
    await answer(await add(await pytorch()), 201, Backbone);
    await answer(await remove('pytorch'), 200, DeletedBackbone);
    expect((await problem(await add(await keras({ id: 'pytorch' })), 'conflict')).detail).toContain('another network');
  });
});

describe('a network from Keras', () => {
  it('with channels last comes as a form, and is taught and exported', async () => {
    const { key } = await newTenant();
    const { onnx: _, ...manifest } = await keras();
    const form = new FormData();
    form.append('model', new File([fixtureNetwork('keras')], 'keras.onnx'));
    form.append('manifest', JSON.stringify(manifest));
    const added = await answer(await call('/v1/backbones', { key: OPERATOR, body: form }), 201, Backbone);
    expect(added).toMatchObject({ id: 'keras', dimension: 80, preprocessing: { layout: 'nhwc', square_px: 256, resize_px: 110 } });
    await expectParity('keras');
    const id = await taught(key, 'keras');
    const { version } = await answer(await call(`/v1/classifiers/${id}`, { key }), 200, Classifier);
    const exported = await call(`/v1/classifiers/${id}/versions/${version}/export?format=onnx`, { key });
    expect(exported.status).toBe(200);
    expect((await exported.arrayBuffer()).byteLength).toBeGreaterThan(40_000);
  });

  it('beside one from PyTorch leaves two entries, though both were added at once', async () => {
    const { key } = await newTenant();
    const both = await Promise.all([add(await pytorch({ id: 'one.of-two' })), add(await keras({ id: 'other.of-two' }))]);
    expect(both.map((response) => response.status)).toEqual([201, 201]);
    const ids = [...(await listed(key)).keys()];
    expect(ids).toContain('one.of-two');
    expect(ids).toContain('other.of-two');
  });
});

describe('what is refused, and changes nothing', () => {
  it.each([
    ['random', /"RandomNormalLike" is not allowed/],
    ['branch', /"If" is not allowed/],
    ['domain', /"com.microsoft.Gelu" is of another domain/],
    ['external', /in a file beside it/],
    ['not-finite', /not finite/],
  ])('%s', async (name, words) => {
    const refused = await problem(await add(await bodyOf(name)), 'unprocessable');
    expect(refused.detail).toMatch(words);
    expect(refused.param).toBe('onnx');
    expect(await deps.objects.head(objectKeys.backboneManifest(name))).toBeNull();
  });

  it('a wrong digest, a wrong dimension, a wrong input, bytes that are no ONNX', async () => {
    await problem(await add(await pytorch({ id: 'bad', sha256: '0'.repeat(64) })), 'checksum_mismatch');
    expect((await problem(await add(await pytorch({ id: 'bad', dimension: 95 })), 'dimension_mismatch')).detail).toContain('96 values');
    const small = { kind: 'image', input_px: 32, mean: 0, scale: 255 };
    expect((await problem(await add(await pytorch({ id: 'bad', preprocessing: small })), 'unprocessable')).detail).toContain('does not run');
    for (const bytes of [new TextEncoder().encode('not a network at all'), new Uint8Array(0), fixtureNetwork('pytorch').slice(0, 20_000)]) {
      const body = await pytorch({ id: 'bad', sha256: await sha256Hex(bytes), onnx: base64(bytes) });
      expect((await problem(await add(body), 'unprocessable')).detail).toContain('not an ONNX network');
    }
    await problem(await add(await pytorch({ id: 'bad', onnx: '%%%' })), 'invalid_request');
    await problem(await remove('bad'), 'not_found');
  });

  it('ids that are taken, shipped or no ids, and manifests that make no sense', async () => {
    await problem(await add(await pytorch({ id: 'efficientnet-lite0' })), 'conflict');
    await problem(await remove('efficientnet-lite0'), 'conflict');
    for (const id of ['../keys', 'a/b', 'a..b', 'UPPER', '', 'mdl_x']) await problem(await add(await pytorch({ id })), 'invalid_request');
    const zero = { kind: 'image', input_px: 64, mean: 0, scale: [1, 0, 1] };
    for (const preprocessing of [zero, { ...zero, scale: 1, input_px: 512 }, { ...zero, scale: 1, resize_px: 32 }, { kind: 'text' }])
      await problem(await add(await pytorch({ id: 'bad', preprocessing })), 'invalid_request');
    await answer(await add(await pytorch({ id: 'taken' })), 201, Backbone);
    await problem(await add(await pytorch({ id: 'taken' })), 'conflict');
  });

  it('anybody but the operator', async () => {
    const { key } = await newTenant();
    await problem(await call('/v1/backbones', { key, json: await pytorch() }), 'forbidden');
    await problem(await call('/v1/backbones/taken', { method: 'DELETE', key }), 'forbidden');
  });
});

// Last in this file: its activations stretch the memory of the runtime, which never shrinks.
describe('a network that does not fit the edge', () => {
  it('is listed as such, and predictions and enrollments with it are refused with the reason', async () => {
    const { key } = await newTenant();
    const preprocessing = { kind: 'image', input_px: 256, mean: 0, scale: 255 };
    const added = await answer(await add(await bodyOf('hungry', { preprocessing })), 201, Backbone);
    expect(added.serving).toMatchObject({ edge: false });
    expect(added.serving.memory_bytes).toBeGreaterThan(32 * 2 ** 20);
    const made = await call('/v1/classifiers', { key, json: { name: 'big', modality: 'image', backbone: 'hungry' } });
    const { id } = await answer(made, 201, Classifier);
    const picture = coloured('red', 1);
    const examples = [{ label: 'red', image: base64(picture) }];
    const enrolled = await problem(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 'unprocessable');
    expect(enrolled.detail).toContain('does not fit the edge');
    const asked = { encode: deps.encoder.encode({ kind: 'image', bytes: picture }, { backbone: 'hungry', model: null }) };
    await expect(asked.encode).rejects.toMatchObject({ code: 'unprocessable', param: 'backbone' });
    const dataset = await readyDataset(key);
    const job = { dataset: dataset.id, backbone: 'hungry' };
    expect((await problem(await call('/v1/training/jobs', { key, json: job }), 'unprocessable')).detail).toContain('linear_probe');
    const probing = await call('/v1/training/jobs', { key, json: { ...job, method: { type: 'linear_probe' } } });
    expect(await answer(probing, 201, Job)).toMatchObject({ status: 'queued', dataset: dataset.id });
  });
});
