/** A trained model as its tenant's own backbone: new classes over the tuned network. The shipped tail stands in for a tuned one. */
import { describe, expect, it } from 'vitest';
import { models } from '../../functions/db/schema.ts';
import { SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import type { ModelManifest } from '../../shared/model-manifest.ts';
import type { Head } from '../../shared/head.ts';
import { decodeHead, encodeHead } from '../../shared/head-file.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { encodeSafetensors, tensor } from '../../shared/safetensors.ts';
import { Backbone } from '../../shared/wire/backbones.ts';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Prediction } from '../../shared/wire/predictions.ts';
import { normal, seededRandom } from '../../shared/statistics.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';
import { answer, bindings, call, newTenant, problem } from '../setup/harness.ts';
import { makePng } from '../setup/png.ts';
import { deps } from '../setup/training.ts';

const BACKGROUND = 16;

/** A model of the tenant whose head gives the tuned embedding this weight. */
async function makeModel(tenant: string, mix: number, change: Partial<ModelManifest> = {}): Promise<string> {
  const base = (await deps.catalogue.get(SHIPPED_BACKBONES.image))!;
  const d = base.dimension;
  const id = deps.newId('model');
  const part = (embedding: 'base' | 'tuned', share: number) => {
    const numbers = { center: new Float32Array(d), weight: new Float32Array(2 * d).fill(0.1), bias: new Float32Array(2) };
    return { embedding, name: 'ridge', transform: base.transform, dimension: d, kernel: null, mix: share, ...numbers };
  };
  const components = [part('base', 1 - mix), part('tuned', mix)];
  const head: Head = { labels: ['a', 'b'], task: 'single_label', components, temperature: 0.2, openSet: null, support: null, standardisation: null };
  const rows = (n: number) =>
    tensor(
      'F32',
      [n, d],
      Float32Array.from({ length: n * d }, (_, i) => Math.abs(Math.sin(i * 1.7))),
    );
  const index = tensor('I32', [2], Int32Array.of(0, 1));
  const keys = { head: `tests/${id}/head`, embeddings: `tests/${id}/embeddings` };
  await deps.objects.put(keys.head, encodeHead(head));
  await deps.objects.put(
    keys.embeddings,
    encodeSafetensors({ base: rows(2), tuned: rows(2), labels: index, rows: index, 'background.tuned': rows(BACKGROUND) }),
  );
  const graph = base.tail;
  const files = [{ ...graph.model, name: 'tail.onnx' as const }, ...(graph.data ? [{ ...graph.data, name: 'tail.onnx.data' as const }] : [])];
  const manifest: ModelManifest = {
    format: 'graft-model-1',
    job: `job_of_${id}`,
    base_backbone: base.id,
    base_sha256: base.sha256,
    modality: 'image',
    dimension: d,
    labels: ['a', 'b'],
    seed: 1,
    dataset_digest: null,
    tuned: true,
    network: 'tail',
    parity: null,
    lineage: {},
    files,
    ...change,
  };
  // Copies: deleting the model deletes its files, and the backbone must keep its own.
  const stored: Record<string, string> = {};
  for (const file of files) {
    stored[file.name] = `tests/${id}/${file.name}`;
    await deps.objects.put(`tests/${id}/${file.name}`, (await deps.objects.get(objectKeys.blob(file.sha256)))!);
  }
  await deps.db.insert(models).values({
    id,
    tenantId: tenant,
    jobId: manifest.job,
    classifierId: null,
    backbone: base.id,
    manifest,
    files: { ...stored, 'head.safetensors': keys.head, 'embeddings.safetensors': keys.embeddings },
    createdAt: 1,
    deletedAt: null,
  });
  return id;
}

const picture = (red: boolean, k: number) =>
  makePng(64, 64, (x, y) => (red ? [200 + (k % 50), (x * k) % 60, 20] : [20, (y * k) % 60, 200 + (k % 50)]));
const base64 = (bytes: Uint8Array) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
const make = async (key: string, backbone: string, more: object = {}) =>
  await call('/v1/classifiers', { key, json: { name: 'own', modality: 'image', backbone, ...more } });
const list = async (key: string) => (await answer(await call('/v1/backbones', { key }), 200, listOf(Backbone, 'BackboneList'))).data;

describe.skipIf(!bindings.HAS_BACKBONES)('a model as a backbone', () => {
  it('carries new classes over its network, from the first example on', async () => {
    const { key, tenant } = await newTenant();
    const model = await makeModel(tenant, 0.7);
    const made = await answer(await make(key, model), 201, Classifier);
    expect(made).toMatchObject({ backbone: SHIPPED_BACKBONES.image, model, labels: [] });
    const examples = [true, false].flatMap((red) => [1, 2, 3].map((k) => ({ label: red ? 'red' : 'blue', image: base64(picture(red, k)) })));
    const { version } = await answer(await call(`/v1/classifiers/${made.id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
    const found = await deps.classifier(made.id).headOf(version);
    if (!found.ok || !found.value.head) throw new Error('no head');
    expect(found.value.model).toBe(model);
    const mixes = decodeHead(found.value.head).components.map((c) => [c.embedding, c.mix] as const);
    const tuned = mixes.filter(([embedding]) => embedding === 'tuned').reduce((sum, [, mix]) => sum + mix, 0);
    expect(tuned).toBeCloseTo(0.7, 5);
    const said = await call(`/v1/classifiers/${made.id}/predict`, { key, json: { image: base64(picture(false, 9)), min_version: version } });
    expect((await answer(said, 200, Prediction)).scores[0]?.label).toBe('blue');
    // Held by that classifier, and free again without it.
    await problem(await call(`/v1/models/${model}`, { key, method: 'DELETE' }), 'conflict');
    expect((await call(`/v1/classifiers/${made.id}`, { key, method: 'DELETE' })).status).toBe(200);
    expect((await call(`/v1/models/${model}`, { key, method: 'DELETE' })).status).toBeLessThan(300);
    await problem(await make(key, model), 'unknown_backbone');
  });

  it('is adapted with the classifier: its own embeddings are aligned, kept, and solved against again', async () => {
    const { key, tenant } = await newTenant();
    const model = await makeModel(tenant, 0.8);
    const { id, dimension: d } = await answer(await make(key, model), 201, Classifier);
    const random = seededRandom(3);
    const vector = (scale: number) => Float32Array.from({ length: d }, () => scale * normal(random));
    const [middle, classes] = [vector(0.5), [vector(0.3), vector(0.3), vector(0.3)]];
    const move = vector(0.4).map((v, j) => v + 2 * classes[0]![j]!);
    // The backbone sees nothing of the classes; the tail does, and in the other domain everything looks like an x to it.
    const tuned = (c: number, moved: boolean) =>
      middle.map((m, j) => Math.abs(2 + m + classes[c]![j]! + 0.4 * normal(random) + (moved ? move[j]! : 0)));
    const draw = (c: number, moved: boolean) => ({ base: vector(1).map(Math.abs), tuned: tuned(c, moved) });
    const names = ['x', 'y', 'z'];
    const example = (c: number) => {
      const { base, tuned: own } = draw(c, false);
      const bare = { sha256: deps.newId('example'), contentType: null, objectKey: null, externalId: null };
      return { id: deps.newId('example'), labels: [names[c]!], base, tuned: { model, embedding: own }, ...bare };
    };
    const object = deps.classifier(id);
    await object.enroll(
      Array.from({ length: 24 }, (_, i) => example(i % 3)),
      names.map((name) => ({ name, embedding: null })),
    );
    const targets = Array.from({ length: 45 }, (_, i) => ({ ...draw(i % 3, true), labels: [names[i % 3]!] }));
    expect(await object.adapt(targets, { model: null, source: null })).toMatchObject({ ok: false, code: 'conflict' });
    const adapted = await object.adapt(targets, { model, source: null });
    expect(adapted).toMatchObject({ ok: true, value: { kind: 'adapted', model, active: true } });

    const held = Array.from({ length: 30 }, (_, i) => draw(i % 3, true));
    const right = async (version: number): Promise<number> => {
      const found = await object.headOf(version);
      if (!found.ok || !found.value.head) throw new Error('no head');
      const head = decodeHead(found.value.head);
      return held.filter((e, i) => scoreHead(head, e).scores[0]?.label === names[i % 3]).length;
    };
    const n = adapted.ok ? adapted.value.n : 0;
    expect(await right(n)).toBeGreaterThan(Math.max(24, (await right(n - 1)) + 3));
    // Another example is learnt on the same tail against the same target.
    await object.enroll([example(0)], []);
    const found = await object.headOf(n + 1);
    if (!found.ok || !found.value.head) throw new Error('no head');
    expect(found.value.model).toBe(model);
    expect(decodeHead(found.value.head).components.map((c) => [c.name, c.embedding])).toEqual([
      ['adapted_ridge', 'base'],
      ['adapted_ridge', 'tuned'],
    ]);
    expect(await right(n + 1)).toBeGreaterThan(24);
  });

  it('is listed for its tenant, and is nothing to anybody else', async () => {
    const { key, tenant } = await newTenant();
    const stranger = await newTenant();
    const model = await makeModel(tenant, 0.5);
    const plain = await makeModel(tenant, 0, { tuned: false, network: 'base' });
    const shared = (await list(key)).find((b) => b.id === SHIPPED_BACKBONES.image)!;
    const own = (await list(key)).find((b) => b.id === model)!;
    expect(own).toMatchObject({ modality: 'image', dimension: shared.dimension, preprocessing: shared.preprocessing, license: shared.license });
    expect(own.serving.edge).toBe(true);
    expect(own.serving.bytes).toBeLessThan(shared.serving.bytes);
    expect((await list(key)).some((b) => b.id === plain)).toBe(false);
    expect((await list(stranger.key)).some((b) => b.id === model)).toBe(false);
    const refused = await problem(await make(stranger.key, model), 'unknown_backbone');
    const nobody = await problem(await make(stranger.key, deps.newId('model')), 'unknown_backbone');
    expect([refused.param, refused.detail.replace(model, 'X')]).toEqual([nobody.param, nobody.detail.replace(/mdl_\w+/, 'X')]);
  });

  it('is refused where it cannot carry what is asked', async () => {
    const { key, tenant } = await newTenant();
    const plain = await makeModel(tenant, 0, { tuned: false, network: 'base' });
    expect((await problem(await make(key, plain), 'unprocessable')).detail).toContain(SHIPPED_BACKBONES.image);
    const model = await makeModel(tenant, 0.5);
    await problem(await make(key, model, { modality: 'text' }), 'unknown_backbone');
    await problem(await make(key, model, { dimension: 7 }), 'dimension_mismatch');
    const large = await makeModel(tenant, 0.5, { network: 'whole', files: [{ name: 'trunk.onnx', sha256: '0'.repeat(64), bytes: 2 ** 26 }] });
    expect((await problem(await make(key, large), 'unprocessable')).param).toBe('backbone');
  });
});
