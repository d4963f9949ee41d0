/** The Open Inference Protocol v2: the same answers as predict, in tensors. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { InferResponse, ModelMetadata, ModelReady, ServerLive, ServerMetadata, ServerReady } from '../../shared/wire/inference-protocol.ts';
import { Prediction, PredictionList } from '../../shared/wire/predictions.ts';
import { answer, bindings, call, newTenant, problem } from '../setup/harness.ts';
import { packPictures } from '../setup/pack.ts';

const NORTH = [1, 0, 0, 0.1];
const EAST = [0, 1, 0.1, 0];
const FAR = [0, 0, -1, -1];

async function compass(key: string, more: object = {}): Promise<{ id: string; first: number; version: number }> {
  const json = { name: 'compass', modality: 'vector', dimension: 4, unknown: null, ...more };
  const { id } = await answer(await call('/v1/classifiers', { key, json }), 201, z.object({ id: z.string() }));
  const teach = async (examples: object[]) =>
    (await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer)).version;
  const first = await teach([
    { label: 'north', vector: NORTH },
    { label: 'east', vector: EAST },
  ]);
  const version = await teach([{ label: 'south', vector: [-1, 0, 0, 0.1] }]);
  return { id, first, version };
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const embeddings = (...rows: number[][]) => ({ name: 'embedding', datatype: 'FP32', shape: [rows.length, 4], data: rows });
const outputOf = (response: InferResponse, name: string) => response.outputs.find((output) => output.name === name);

describe('the inference protocol', () => {
  it('says that the server lives, without a key', async () => {
    await answer(await call('/v2'), 200, ServerMetadata);
    await answer(await call('/v2/health/live'), 200, ServerLive);
    expect(await answer(await call('/v2/health/ready'), bindings.HAS_BACKBONES ? 200 : 503, ServerReady)).toEqual({ ready: bindings.HAS_BACKBONES });
  });

  it('describes a classifier and its versions', async () => {
    const { key } = await newTenant();
    const { id, first, version } = await compass(key);
    const model = await answer(await call(`/v2/models/${id}`, { key }), 200, ModelMetadata);
    expect(model.inputs).toEqual([{ name: 'embedding', datatype: 'FP32', shape: [-1, 4] }]);
    expect(model.outputs.find((o) => o.name === 'scores')).toMatchObject({ shape: [-1, 3], parameters: { labels: ['north', 'east', 'south'] } });
    expect(model.versions).toEqual(expect.arrayContaining([String(first), String(version)]));
    const old = await answer(await call(`/v2/models/${id}/versions/${first}`, { key }), 200, ModelMetadata);
    expect(old.versions).toEqual([String(first)]);
    expect(old.outputs.find((o) => o.name === 'scores')?.parameters).toEqual({ labels: ['north', 'east'] });
    for (const path of ['', `/versions/${first}`])
      expect(await answer(await call(`/v2/models/${id}${path}/ready`, { key }), 200, ModelReady)).toEqual({ name: id, ready: true });
    for (const other of ['99', 'two']) await problem(await call(`/v2/models/${id}/versions/${other}`, { key }), 'not_found');
    const empty = await answer(
      await call('/v1/classifiers', { key, json: { name: 'e', modality: 'vector', dimension: 4 } }),
      201,
      z.object({ id: z.string() }),
    );
    await problem(await call(`/v2/models/${empty.id}/ready`, { key }), 'nothing_to_predict');
    await problem(await call(`/v2/models/${id}`, { key: (await newTenant()).key }), 'not_found');
  });

  it('infers what predict answers, each score in the column of its label', async () => {
    const { key } = await newTenant();
    const { id, first, version } = await compass(key);
    const json = { id: 'mine', inputs: [embeddings(EAST, NORTH)] };
    const both = await answer(await call(`/v2/models/${id}/infer`, { key, json }), 200, InferResponse);
    expect(both).toMatchObject({ model_name: id, model_version: String(version), id: 'mine', parameters: { unknown: [false, false] } });
    expect(outputOf(both, 'label')).toMatchObject({ datatype: 'BYTES', shape: [2], data: ['east', 'north'] });
    const scores = outputOf(both, 'scores');
    expect(scores).toMatchObject({ datatype: 'FP32', shape: [2, 3], parameters: { labels: ['north', 'east', 'south'] } });
    const said = await answer(await call(`/v1/classifiers/${id}/predict`, { key, json: { vector: EAST } }), 200, Prediction);
    const of = new Map(said.scores.map((s) => [s.label, s.score]));
    expect(scores?.data.slice(0, 3)).toEqual(['north', 'east', 'south'].map((label) => of.get(label)));
    const raw = outputOf(both, 'embedding');
    expect(raw?.shape).toEqual([2, 4]);
    expect((raw?.data[0] as number) - EAST[0]!).toBeCloseTo(0, 6);
    // Flat, one row without its count, one output, an older version.
    const flat = { name: 'embedding', datatype: 'FP32', shape: [4], data: NORTH };
    const old = await answer(
      await call(`/v2/models/${id}/versions/${first}/infer`, { key, json: { inputs: [flat], outputs: [{ name: 'scores' }] } }),
      200,
      InferResponse,
    );
    expect(old).toMatchObject({ model_version: String(first), parameters: { unknown: false }, outputs: [{ name: 'scores', shape: [1, 2] }] });
  });

  it('answers the empty label and the threshold where it is unknown', async () => {
    const { key } = await newTenant();
    const { id } = await compass(key, { unknown: { false_reject_rate: 0.05 } });
    const { parameters, outputs } = await answer(
      await call(`/v2/models/${id}/infer`, { key, json: { inputs: [embeddings(FAR)] } }),
      200,
      InferResponse,
    );
    const said = await answer(await call(`/v1/classifiers/${id}/predict`, { key, json: { vector: FAR } }), 200, Prediction);
    expect(parameters.unknown).toBe(said.unknown);
    expect(parameters.threshold).toBeTypeOf('number');
    expect(outputs.find((o) => o.name === 'label')?.data).toEqual([said.label ?? '']);
  });

  it('says of several labels an input which are present, in the columns of the scores', async () => {
    const { key } = await newTenant();
    const json = { name: 'winds', modality: 'vector', dimension: 4, task: 'multi_label', unknown: null };
    const { id } = await answer(await call('/v1/classifiers', { key, json }), 201, z.object({ id: z.string() }));
    const both = NORTH.map((x, i) => x + EAST[i]!);
    const examples = [NORTH, EAST, both].flatMap((vector, k) =>
      [0, 0.02, 0.04].map((by) => ({ labels: [['north'], ['east'], ['north', 'east']][k], vector: vector.map((x, i) => x + by * Math.sin(i + k)) })),
    );
    await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
    const model = await answer(await call(`/v2/models/${id}`, { key }), 200, ModelMetadata);
    expect(model.outputs.map((o) => o.name)).toEqual(['label', 'labels', 'scores', 'embedding']);
    const rows = [both, EAST, FAR];
    const said = await answer(await call(`/v2/models/${id}/infer`, { key, json: { inputs: [embeddings(...rows)] } }), 200, InferResponse);
    const list = await call(`/v1/classifiers/${id}/predict`, { key, json: { inputs: rows.map((vector) => ({ vector })) } });
    const { data } = await answer(list, 200, PredictionList);
    expect(data[0]?.labels?.toSorted()).toEqual(['east', 'north']);
    const [tensor, scores] = [outputOf(said, 'labels'), outputOf(said, 'scores')];
    expect(tensor).toMatchObject({ datatype: 'BOOL', shape: [3, 2], parameters: scores?.parameters });
    const columns = scores?.parameters?.['labels'] as string[];
    expect(tensor?.data).toEqual(data.flatMap(({ labels }) => columns.map((label) => labels?.includes(label))));
    // Of one label an input there is no such tensor.
    const { id: single } = await compass(key);
    const asked = { inputs: [embeddings(NORTH)], outputs: [{ name: 'label' }, { name: 'labels' }] };
    const none = await problem(await call(`/v2/models/${single}/infer`, { key, json: asked }), 'invalid_request');
    expect(none.errors?.[0]?.pointer).toBe('/outputs/1/name');
    expect((await answer(await call(`/v2/models/${single}`, { key }), 200, ModelMetadata)).outputs.map((o) => o.name)).not.toContain('labels');
  });

  it('names what is wrong with a tensor, and where', async () => {
    const { key } = await newTenant();
    const { id } = await compass(key);
    const refused = async (tensor: object, code: 'invalid_request' | 'dimension_mismatch', pointer: string) => {
      const fault = await problem(await call(`/v2/models/${id}/infer`, { key, json: { inputs: [{ ...embeddings(NORTH), ...tensor }] } }), code);
      expect(fault.errors?.[0]?.pointer).toBe(pointer);
      expect(fault.error).toBe(fault.detail);
    };
    await refused({ name: 'text' }, 'invalid_request', '/inputs/0/name');
    await refused({ datatype: 'BYTES' }, 'invalid_request', '/inputs/0/datatype');
    await refused({ shape: [2, 4] }, 'invalid_request', '/inputs/0/data');
    await refused({ shape: [1, 3], data: [1, 2, 3] }, 'dimension_mismatch', '/inputs/0/shape');
    await refused({ shape: [65, 4], data: Array.from({ length: 260 }, () => 1) }, 'invalid_request', '/inputs/0/shape');
    await refused({ data: ['a', 0, 0, 0] }, 'invalid_request', '/inputs/0/data');
    // Nested deeper than a tensor can be, and so deep that following it would be the end of the call.
    const deep = `${'['.repeat(50_000)}1${']'.repeat(50_000)}`;
    const body = JSON.stringify({ inputs: [{ ...embeddings(NORTH), data: 'deep' }] }).replace('"deep"', deep);
    const nested = await call(`/v2/models/${id}/infer`, { key, body, headers: { 'content-type': 'application/json' } });
    expect((await problem(nested, 'invalid_request')).errors?.[0]?.pointer).toBe('/inputs/0/data');
    const none = await problem(await call(`/v2/models/${id}/infer`, { key, json: { inputs: [] } }), 'invalid_request');
    expect(none.errors?.[0]?.pointer).toBe('/inputs');
    const output = { inputs: [embeddings(NORTH)], outputs: [{ name: 'logits' }] };
    const other = await problem(await call(`/v2/models/${id}/infer`, { key, json: output }), 'invalid_request');
    expect(other.errors?.[0]?.pointer).toBe('/outputs/0/name');
  });

  it.skipIf(!bindings.HAS_BACKBONES)('reads pictures and texts as BYTES', async () => {
    const { key } = await newTenant();
    const make = async (modality: string) =>
      await answer(
        await call('/v1/classifiers', { key, json: { name: modality, modality, labels: [{ name: 'bird' }, { name: 'building' }] } }),
        201,
        z.object({ id: z.string() }),
      );
    const [pictures, texts] = [await make('image'), await make('text')];
    const [picture] = packPictures('bird');
    const image = { name: 'image', datatype: 'BYTES', shape: [1, 1], parameters: { content_type: 'base64' }, data: [[base64(picture!)]] };
    const seen = await answer(await call(`/v2/models/${pictures.id}/infer`, { key, json: { inputs: [image] } }), 200, InferResponse);
    expect(outputOf(seen, 'embedding')?.shape).toEqual([1, 1472]);
    const text = { name: 'text', datatype: 'BYTES', shape: [2], data: ['a small sparrow', 'a tall house of brick'] };
    const read = await answer(await call(`/v2/models/${texts.id}/infer`, { key, json: { inputs: [text] } }), 200, InferResponse);
    expect(outputOf(read, 'scores')?.shape).toEqual([2, 2]);
    const broken = { ...image, shape: [2], data: [base64(picture!), base64(picture!.subarray(0, 300))] };
    const fault = await problem(await call(`/v2/models/${pictures.id}/infer`, { key, json: { inputs: [broken] } }), 'picture_truncated');
    expect(fault.errors).toMatchObject([{ pointer: '/inputs/0/data/1' }]);
  });
});
