/** Datasets whose rows have several labels: how they are asked for, what a host gets to freeze, and what it may not hand back. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Dataset } from '../../shared/wire/datasets.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';
import {
  clearQueue,
  deps,
  frozenFiles,
  lease,
  publishTinyBackbone,
  readyDataset,
  runner,
  sendFiles,
  tinyClassifier,
  uploadedDataset,
} from '../setup/training.ts';

let key = '';
let tenant = '';
beforeAll(async () => {
  ({ key, tenant } = await newTenant());
  await publishTinyBackbone();
});
beforeEach(clearQueue);

const several = { name: 'tagged', modality: 'text', task: 'multi_label', format: 'jsonl' };
const make = async (json: Record<string, unknown>) => await call('/v1/datasets', { key, json: { ...several, ...json } });

describe('a dataset of several labels', () => {
  it('is made of lines, with columns that mean something in it', async () => {
    expect(await answer(await make({}), 201, Dataset)).toMatchObject({ task: 'multi_label', status: 'awaiting_upload' });
    const columns = { text: 'body', labels: 'tags' };
    expect(await answer(await make({ format: 'csv', columns }), 201, Dataset)).toMatchObject({ task: 'multi_label', columns });
    expect(await answer(await make({ modality: 'image' }), 201, Dataset)).toMatchObject({ task: 'multi_label', format: 'jsonl' });
    const folders = await problem(await make({ modality: 'image', format: 'imagefolder' }), 'invalid_request');
    expect(folders).toMatchObject({ param: 'task', detail: expect.stringContaining('one label') });
    const at = async (json: Record<string, unknown>) => (await problem(await make(json), 'invalid_request')).errors?.map((e) => e.pointer);
    expect(await at({ columns: { 'tasks.mood': 'mood' } })).toEqual(['/columns/tasks.mood']);
    expect(await at({ task: 'single_label', columns: { labels: 'tags' } })).toEqual(['/columns/labels']);
    expect(await at({ task: 'many_labels' })).toEqual(['/task']);
  });

  it('says so to the host, and is not taken back as one of single labels', async () => {
    const { id } = await uploadedDataset(key, undefined, { task: 'multi_label', format: 'jsonl' });
    const leased = await lease(['validate']);
    expect(leased.work).toMatchObject({ kind: 'validate', dataset: id, task: 'multi_label' });
    const { files, manifest } = await frozenFiles();
    await sendFiles(leased.token, files);
    const complete = async (task: string) =>
      await runner(`leases/${leased.token}/complete`, { kind: 'validate', ready: true, manifest: { ...manifest, task }, errors: [], error_count: 0 });
    expect((await problem(await complete('single_label'), 'unprocessable')).detail).toContain('multi_label');
    expect((await complete('multi_label')).status).toBe(200);
    expect(await answer(await call(`/v1/datasets/${id}`, { key }), 200, Dataset)).toMatchObject({ task: 'multi_label', status: 'ready' });
  });

  it('is made of the examples of a classifier that gives several', async () => {
    const classifier = await tinyClassifier(tenant, 1, 'multi_label');
    const example = { id: deps.newId('example'), base: new Float32Array(8).fill(0.3), tuned: null, sha256: '2'.repeat(64), contentType: 'image/png' };
    const both = { ...example, labels: ['pear', 'apple'], objectKey: 'tests/both', externalId: null };
    await deps.classifier(classifier).enroll([both], []);
    const made = await answer(await call('/v1/datasets', { key, json: { name: 'from', from_classifier: classifier } }), 201, Dataset);
    expect(made).toMatchObject({ task: 'multi_label', format: 'classifier' });
    const { work, token } = await lease(['validate']);
    if (work.kind !== 'validate') throw new Error('expected validation');
    expect(work.task).toBe('multi_label');
    expect(work.examples?.map((e) => [e.label, e.labels?.join()]).toSorted()).toEqual([
      [null, 'apple'],
      [null, 'pear'],
      [null, 'pear,apple'],
    ]);
    await runner(`leases/${token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'caller' });
  });

  it('counts rows by label', async () => {
    const counts = { train: { apple: 6, pear: 5 }, validation: {}, test: { apple: 3, pear: 3 } };
    expect(await readyDataset(key, { task: 'multi_label', counts })).toMatchObject({ task: 'multi_label', counts, unlabelled: 0 });
  });
});
