/** What is deleted is gone with its originals, also when the object storage did not answer in the middle of it. */
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { GraftError } from '../../shared/errors.ts';
import { DeletedClassifier, DeletedLabel } from '../../shared/wire/classifiers.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { Usage } from '../../shared/wire/usage.ts';
import { models } from '../../functions/db/schema.ts';
import { addUsage } from '../../functions/stores/usage.ts';
import { deleteClassifier } from '../../functions/usecases/classifiers/delete-classifier.ts';
import { deleteDataset } from '../../functions/usecases/datasets/delete-dataset.ts';
import { forgetOriginals, keepOriginals } from '../../functions/usecases/examples/originals.ts';
import { deleteLabel } from '../../functions/usecases/labels/labels.ts';
import { deleteModel } from '../../functions/usecases/models/models.ts';
import { dropReviewItem } from '../../functions/usecases/review/review-items.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';
import { deps, DIMENSION, LABELS, publishTinyBackbone, readyDataset, TINY, tinyClassifier } from '../setup/training.ts';

const EXAMPLES = 3;
const BYTES = 100;
let key = '';
let tenant = '';
let id = '';
beforeAll(publishTinyBackbone);
beforeEach(async () => {
  ({ key, tenant } = await newTenant());
  id = await tinyClassifier(tenant, EXAMPLES);
  for (const original of LABELS.flatMap(originals)) await deps.objects.put(original, new Uint8Array(BYTES));
  await addUsage(deps.db, tenant, 'stored_bytes', LABELS.length * EXAMPLES * BYTES, deps.now());
});

const originals = (label: string) => Array.from({ length: EXAMPLES }, (_, i) => `tests/${id}/${label}/${i}`);
const left = async (label: string) =>
  (await Promise.all(originals(label).map(async (original) => await deps.objects.head(original)))).filter(Boolean).length;
const stored = async () => (await answer(await call('/v1/usage', { key }), 200, Usage)).stored_bytes;
const silence = () => Promise.reject(new GraftError('unavailable', 'The object storage could not carry out a DELETE.'));
const silent = { ...deps, objects: { ...deps.objects, delete: silence } };
const remove = async (path: string, by = key) => await call(`/v1/classifiers/${path}`, { key: by, method: 'DELETE' });

describe('of thousands', () => {
  it('the originals go in few requests, and a deletion that was cut off goes on where it was', async () => {
    const keys = Array.from({ length: 250 }, (_, n) => `tests/${id}/many/${n}`);
    await keepOriginals(
      deps,
      keys.map((original) => ({ key: original, bytes: new Uint8Array(BYTES), contentType: 'text/plain' })),
    );
    await addUsage(deps.db, tenant, 'stored_bytes', keys.length * BYTES, deps.now());
    const before = await stored();
    await deps.objects.delete(keys.slice(0, 1));
    const asked = vi.spyOn(globalThis, 'fetch');
    await forgetOriginals(deps, tenant, keys);
    const requests = asked.mock.calls.length;
    asked.mockRestore();
    expect(requests).toBe(2);
    expect(await Promise.all(keys.slice(-3).map(async (original) => await deps.objects.head(original)))).toEqual([null, null, null]);
    expect(before - (await stored())).toBe((keys.length - 1) * BYTES);
    expect([await left('apple'), await left('pear')]).toEqual([EXAMPLES, EXAMPLES]);
  });
});

describe('while the object storage does not answer', () => {
  it('the deletion of a classifier is not over, and goes on when it is asked for again', async () => {
    await expect(deleteClassifier(silent, tenant, id)).rejects.toMatchObject({ code: 'unavailable' });
    await problem(await call(`/v1/classifiers/${id}`, { key }), 'not_found');
    await problem(await remove(id, (await newTenant()).key), 'not_found');
    expect(await left('apple')).toBe(EXAMPLES);
    await answer(await remove(id), 200, DeletedClassifier);
    expect([await left('apple'), await left('pear'), await stored()]).toEqual([0, 0, 0]);
    await problem(await remove(id), 'not_found');
  });

  it('the bytes of a dataset and of a model go when their deletion is repeated', async () => {
    const dataset = await readyDataset(key);
    const archive = objectKeys.upload(tenant, dataset.id, dataset.upload_id!, 'fruit.zip');
    const frozen = objectKeys.frozen(tenant, dataset.id, 1, 'dataset.safetensors');
    const model = deps.newId('model');
    const file = `tests/${model}/head.safetensors`;
    await deps.objects.put(file, new Uint8Array(BYTES));
    const row = { id: model, tenantId: tenant, jobId: model, classifierId: null, backbone: TINY, manifest: {}, createdAt: 1, deletedAt: null };
    await deps.db.insert(models).values({ ...row, files: { 'head.safetensors': file } });
    const there = async () => await Promise.all([archive, frozen, file].map(async (object) => (await deps.objects.head(object)) !== null));

    await expect(deleteDataset(silent, { tenant, id: dataset.id })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(deleteModel(silent, { tenant, id: model })).rejects.toMatchObject({ code: 'unavailable' });
    const stranger = (await newTenant()).key;
    const gone = async (by: string) => {
      await problem(await call(`/v1/datasets/${dataset.id}`, { key: by, method: 'DELETE' }), 'not_found');
      await problem(await call(`/v1/models/${model}`, { key: by, method: 'DELETE' }), 'not_found');
    };
    await gone(stranger);
    expect(await there()).toEqual([true, true, true]);
    await gone(key);
    expect(await there()).toEqual([false, false, false]);
  });

  it('the original of a dropped review item goes when it is dropped again, and that of an enrolled one stays', async () => {
    const keep = async () => {
      const item = deps.newId('review');
      const objectKey = objectKeys.reviewItem(tenant, id, item);
      await deps.objects.put(objectKey, new Uint8Array(BYTES));
      const prediction = { version: 1, label: 'apple', unknown: false, confidence: 0.5, scores: [], nearest: null };
      const bare = { base: new Float32Array(DIMENSION).fill(1), tuned: null, sha256: item, contentType: 'image/png', objectKey, prediction };
      await deps.classifier(id).keepForReview([{ id: item, ...bare }], 10);
      return { item, there: async () => (await deps.objects.head(objectKey)) !== null };
    };
    const [dropped, enrolled] = [await keep(), await keep()];
    await expect(dropReviewItem(silent, tenant, id, dropped.item)).rejects.toMatchObject({ code: 'unavailable' });
    const said = await call(`/v1/classifiers/${id}/review/${enrolled.item}`, { key, json: { label: 'apple' } });
    await answer(said, 201, EnrollAnswer);
    const stranger = (await newTenant()).key;
    for (const one of [dropped, enrolled]) await problem(await remove(`${id}/review/${one.item}`, stranger), 'not_found');
    expect([await dropped.there(), await enrolled.there()]).toEqual([true, true]);
    for (const one of [dropped, enrolled]) await problem(await remove(`${id}/review/${one.item}`), 'not_found');
    expect([await dropped.there(), await enrolled.there()]).toEqual([false, true]);
  });

  it('a label stays until its originals can be deleted', async () => {
    await expect(deleteLabel(silent, tenant, id, 'apple')).rejects.toMatchObject({ code: 'unavailable' });
    await answer(await remove(`${id}/labels/apple`), 200, DeletedLabel);
    expect([await left('apple'), await left('pear'), await stored()]).toEqual([0, EXAMPLES, EXAMPLES * BYTES]);
    await problem(await remove(`${id}/labels/apple`), 'not_found');
  });
});
