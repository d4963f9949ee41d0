/** Validation and target datasets: checked when the job is made, handed to the host, and kept while a job needs them. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DatasetManifest } from '../../shared/dataset.ts';
import { Job } from '../../shared/wire/jobs.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';
import { clearQueue, deps, lease, newJob, publishTinyBackbone, readyDataset, runner, tinyClassifier, TINY } from '../setup/training.ts';

const UNLABELLED: Partial<DatasetManifest> = { labels: [], unlabelled: 12, counts: { train: {}, validation: {}, test: {} } };
let key = '';
let tenant = '';
let dataset = '';
let other = '';
let target = '';
beforeAll(async () => {
  ({ key, tenant } = await newTenant());
  await publishTinyBackbone();
  dataset = (await readyDataset(key)).id;
  other = (await readyDataset(key)).id;
  target = (await readyDataset(key, UNLABELLED)).id;
});
beforeEach(clearQueue);

const create = async (json: Record<string, unknown>) => await call('/v1/training/jobs', { key, json: { dataset, backbone: TINY, ...json } });

describe('a job', () => {
  it('hands both datasets, what to leave out and its method to the host', async () => {
    const method = { type: 'domain_adaptation', alignment: 'coral' };
    const asked = { target_dataset: target, validation_dataset: other, exclude: ['label_issue', 'outlier', 4], method };
    const job = await answer(await create(asked), 201, Job);
    expect(job).toMatchObject(asked);
    const leased = await lease(['train']);
    expect(leased.work).toMatchObject({
      job: job.id,
      dataset: { id: dataset },
      validation: { id: other, manifest: { labels: ['apple', 'pear'] } },
      target: { id: target, manifest: { labels: [], unlabelled: 12 } },
      exclude: ['label_issue', 'outlier', 4],
      label_texts: null,
    });
    if (leased.work.kind !== 'train' || !leased.work.target) throw new Error('not a training job with a target');
    const file = leased.work.target.files['rows.jsonl']!;
    expect((await (await fetch(file.url)).arrayBuffer()).byteLength).toBe(file.bytes);
    expect((await runner(`leases/${leased.token}/release`, { reason: 'shutdown' })).status).toBe(204);

    // Needed by a job that is not over, in any role: not deleted.
    for (const id of [dataset, other, target]) await problem(await call(`/v1/datasets/${id}`, { key, method: 'DELETE' }), 'conflict');
    await call(`/v1/training/jobs/${job.id}/cancel`, { key, method: 'POST' });
    const spare = await readyDataset(key, UNLABELLED);
    expect((await call(`/v1/datasets/${spare.id}`, { key, method: 'DELETE' })).status).toBe(204);
  });

  it('says which examples are left of the classifier that a dataset was made of, as long as there is one', async () => {
    const classifier = await tinyClassifier(tenant, 2);
    const made = (await readyDataset(key)).id;
    await deps.d1.prepare('update datasets set from_classifier = ? where id = ?').bind(classifier, made).run();
    const listed = await deps.classifier(classifier).listExamples({ limit: 100, after: null, label: null });
    const [first, ...left] = listed.data.map(({ id }) => id);
    expect((await call(`/v1/classifiers/${classifier}/examples/${first}`, { key, method: 'DELETE' })).status).toBe(200);
    const leasedNow = async () => {
      await newJob(key, { dataset, validation_dataset: made });
      const { work, token } = await lease(['train']);
      await runner(`leases/${token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
      if (work.kind !== 'train') throw new Error('expected training');
      return [work.dataset.examples_left, work.validation!.examples_left?.toSorted()];
    };
    expect(await leasedNow()).toEqual([null, left.toSorted()]);
    expect((await call(`/v1/classifiers/${classifier}`, { key, method: 'DELETE' })).status).toBe(200);
    expect(await leasedNow()).toEqual([null, undefined]);
  });

  it('needs nothing beside its dataset', async () => {
    const job = await newJob(key, { dataset });
    expect(job).toMatchObject({ validation_dataset: null, target_dataset: null, exclude: null });
    expect((await lease(['train'])).work).toMatchObject({ validation: null, target: null, exclude: [] });
  });

  it.each(['validation_dataset', 'target_dataset'] as const)('is refused with a %s that does not fit, by name', async (param) => {
    const refused = async (id: string, code: Parameters<typeof problem>[1]) =>
      expect((await problem(await create({ [param]: id }), code)).param).toBe(param);
    await refused(deps.newId('dataset'), 'not_found');
    const stranger = await newTenant();
    await refused((await readyDataset(stranger.key)).id, 'not_found');
    await refused(dataset, 'unprocessable');
    const open = await call('/v1/datasets', { key, json: { name: 'd', modality: 'image', format: 'imagefolder' } });
    await refused((await open.json<{ id: string }>()).id, 'dataset_not_ready');
    await refused((await readyDataset(key, { labels: ['apple', 'plum'] })).id, 'unprocessable');
    const texts = await readyDataset(key);
    await deps.d1.prepare(`update datasets set modality = 'text' where id = ?`).bind(texts.id).run();
    await refused(texts.id, 'unprocessable');
  });

  it('is refused where its method cannot be carried out', async () => {
    const refused = async (json: Record<string, unknown>, param: string) =>
      expect((await problem(await create(json), 'unprocessable')).param).toBe(param);
    await refused({ validation_dataset: target }, 'validation_dataset');
    await refused({ validation_dataset: other, target_dataset: other }, 'validation_dataset');
    await refused({ method: { type: 'domain_confusion' } }, 'target_dataset');
    await refused({ method: { type: 'multi_task' } }, 'dataset');
    await refused({ method: { type: 'linear_probe', depth: 'full' } }, 'method.depth');
    await refused({ dataset: target }, 'dataset');
    const bare = (await readyDataset(key, { counts: { train: { apple: 6, pear: 6 }, validation: {}, test: {} } })).id;
    await refused({ dataset: bare }, 'dataset');
    await refused({ dataset: bare, target_dataset: target }, 'dataset');
    // Rows of another dataset judge it, of a target that has labels too.
    await answer(await create({ dataset: bare, validation_dataset: other }), 201, Job);
    await answer(await create({ dataset: bare, target_dataset: other }), 201, Job);
    expect((await problem(await create({ exclude: ['ugly'] }), 'invalid_request')).errors?.[0]?.pointer).toBe('/exclude/0');
    expect((await problem(await create({ exclude: ['outlier', -1] }), 'invalid_request')).errors?.[0]?.pointer).toBe('/exclude/1');
    expect(await problem(await create({ exclude: ['outlier', 3, 12] }), 'unprocessable')).toMatchObject({
      param: 'exclude',
      detail: 'The dataset has no row 12; its rows are 0 to 11.',
    });
    const tasks = ['kind', 'ripe'].map((name) => ({ name, labels: ['apple', 'pear'], counts: { apple: 6, pear: 6 } }));
    const several = (await readyDataset(key, { tasks })).id;
    await answer(await create({ dataset: several, method: { type: 'multi_task', task: 'ripe' } }), 201, Job);
    await refused({ dataset: several, method: { type: 'multi_task', task: 'size' } }, 'method.task');
    const judging = (await readyDataset(key, { tasks: [tasks[1]!] })).id;
    const multi = { dataset: several, validation_dataset: judging };
    await answer(await create({ ...multi, method: { type: 'multi_task', task: 'ripe' } }), 201, Job);
    await refused({ ...multi, method: { type: 'multi_task', task: 'kind' } }, 'validation_dataset');
  });
});
