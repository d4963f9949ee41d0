/** A job that transfers from a classifier: whose it may be, what the host gets of it, and what its version is good for at the gate. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DatasetManifest } from '../../shared/dataset.ts';
import { CompleteResponse, type TrainWork } from '../../shared/runner.ts';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { Dataset } from '../../shared/wire/datasets.ts';
import { Job } from '../../shared/wire/jobs.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';
import {
  clearQueue,
  completionOf,
  deps,
  heldOutOf,
  lease,
  newJob,
  publishTinyBackbone,
  readyDataset,
  runner,
  sendFiles,
  TINY,
  tinyClassifier,
  trainedFiles,
} from '../setup/training.ts';

const UNLABELLED: Partial<DatasetManifest> = { labels: [], unlabelled: 12, counts: { train: {}, validation: {}, test: {} } };
let key = '';
let tenant = '';
let dataset = '';
let source = '';
beforeAll(async () => {
  ({ key, tenant } = await newTenant());
  await publishTinyBackbone();
  dataset = (await readyDataset(key)).id;
  source = await tinyClassifier(tenant, 3);
});
beforeEach(clearQueue);

const create = async (json: Record<string, unknown>) =>
  await call('/v1/training/jobs', { key, json: { dataset, backbone: TINY, source_classifier: source, ...json } });

/** Leases the job and completes it; `incumbent` right rows of 200, or null for none. */
async function finish(job: Job, right: { candidate: number; incumbent: number | null }, labels?: readonly string[]) {
  const leased = await lease(['train']);
  expect((leased.work as TrainWork).job).toBe(job.id);
  const files = await trainedFiles(job.id, labels ? { labels } : {});
  await sendFiles(leased.token, files);
  const done = await runner(`leases/${leased.token}/complete`, await completionOf(files, heldOutOf(200, right), labels));
  const said = await answer(done, 200, CompleteResponse);
  const after = await answer(await call(`/v1/training/jobs/${job.id}`, { key }), 200, Job);
  return { work: leased.work as TrainWork, said, result: after.result! };
}

describe('a job with a source classifier', () => {
  it('gets its examples to learn from and its version to be compared with', async () => {
    const job = await newJob(key, { dataset, source_classifier: source });
    expect(job.source_classifier).toBe(source);
    const { work, result } = await finish(job, { candidate: 190, incumbent: 150 });
    expect(work.enrolled).toEqual([]);
    expect(work.source?.classifier).toBe(source);
    expect(work.source?.examples.map(({ label }) => label).toSorted()).toEqual(['apple', 'apple', 'apple', 'pear', 'pear', 'pear']);
    for (const { download } of work.source!.examples) expect(download.url).toContain(source);
    const head = await fetch(work.incumbent!.head.url);
    expect((await head.arrayBuffer()).byteLength).toBe(work.incumbent!.head.bytes);
    expect(result.metrics.incumbent).not.toBeNull();
    expect(result.reasons.map(({ code }) => code)).toContain('better_than_incumbent');
    expect(result.decision).toBe('not_requested');
    // Its answers must be there, or nothing can be compared.
    const again = await newJob(key, { dataset, source_classifier: source });
    const leased = await lease(['train']);
    const files = await trainedFiles(again.id);
    await sendFiles(leased.token, files);
    const silent = await runner(`leases/${leased.token}/complete`, await completionOf(files, heldOutOf(200, { candidate: 190, incumbent: null })));
    await problem(silent, 'unprocessable');
  });

  it('promotes into a classifier that serves nothing only what beats the source', async () => {
    const worse = await tinyClassifier(tenant, 0);
    const lost = await finish(await newJob(key, { dataset, source_classifier: source, classifier: worse }), { candidate: 120, incumbent: 190 });
    expect(lost.said.decision).toBe('refused');
    expect(lost.result.reasons.map(({ code }) => code)).toContain('worse_than_incumbent');
    const better = await tinyClassifier(tenant, 0);
    const won = await finish(await newJob(key, { dataset, source_classifier: source, classifier: better }), { candidate: 195, incumbent: 120 });
    expect(won.said.decision).toBe('promoted');
    expect(won.result.version).toBeGreaterThan(1);
  });

  it('is refused where all examples of the source are rows of a dataset, which a dataset made from it says too', async () => {
    const learnt = await tinyClassifier(tenant, 0);
    expect((await finish(await newJob(key, { dataset, classifier: learnt }), { candidate: 195, incumbent: null })).said.decision).toBe('promoted');
    const { labels } = await answer(await call(`/v1/classifiers/${learnt}`, { key }), 200, Classifier);
    expect(labels.map(({ name, examples }) => [name, examples])).toEqual([
      ['apple', 4],
      ['pear', 4],
    ]);
    const fault = await problem(await create({ source_classifier: learnt }), 'unprocessable');
    expect(fault).toMatchObject({ param: 'source_classifier', detail: expect.stringContaining('8 examples') });
    await answer(await call('/v1/datasets', { key, json: { name: 'from', from_classifier: learnt } }), 201, Dataset);
    const { work, token } = await lease(['validate']);
    expect(work).toMatchObject({ kind: 'validate', examples: [], examples_of_datasets: 8 });
    await runner(`leases/${token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'caller' });
  });

  it('does not hold labels of the source against a candidate that is not asked for them', async () => {
    const wide = await tinyClassifier(tenant, 2);
    const object = deps.classifier(wide);
    const example = { id: deps.newId('example'), labels: ['plum'], base: new Float32Array(8).fill(0.3), tuned: null, sha256: '2'.repeat(64) };
    await object.enroll([{ ...example, contentType: 'image/png', objectKey: 'tests/plum', externalId: null }], [{ name: 'plum', embedding: null }]);
    const fresh = await tinyClassifier(tenant, 0);
    const { result } = await finish(await newJob(key, { dataset, source_classifier: wide, classifier: fresh }), { candidate: 195, incumbent: 120 });
    expect(result.decision).toBe('promoted');
    expect(result.reasons.map(({ code }) => code)).not.toContain('forgets_labels');
  });

  it('is compared with what its own classifier serves, when that serves something', async () => {
    const own = await tinyClassifier(tenant, 2);
    const job = await newJob(key, { dataset, source_classifier: source, classifier: own });
    const leased = (await lease(['train'])).work as TrainWork;
    expect(leased.job).toBe(job.id);
    expect(leased.enrolled).toHaveLength(4);
    expect(leased.source?.examples).toHaveLength(6);
    expect(leased.incumbent?.version).toBe((await deps.classifier(own).describe())!.version);
    expect(leased.incumbent?.head.url).toContain(own);
  });

  it('may take its dataset as the target, which then needs no labels to learn from but some to judge by', async () => {
    const method = { type: 'domain_adaptation', alignment: 'coral' };
    const held: Partial<DatasetManifest> = { counts: { train: {}, validation: {}, test: { apple: 2, pear: 2 } }, unlabelled: 8 };
    const target = (await readyDataset(key, held)).id;
    const job = await answer(await create({ dataset: target, method }), 201, Job);
    expect((await lease(['train'])).work).toMatchObject({ job: job.id, target: null, source: { classifier: source } });
    expect((await problem(await create({ dataset: (await readyDataset(key, UNLABELLED)).id, method }), 'unprocessable')).param).toBe('dataset');
    const strange = (await readyDataset(key, { ...held, labels: ['apple', 'plum'] })).id;
    expect((await problem(await create({ dataset: strange, method }), 'unprocessable')).param).toBe('source_classifier');
    // Without a source the same dataset has nothing to learn from.
    expect((await problem(await create({ dataset: target, method, source_classifier: null }), 'unprocessable')).param).toBe('dataset');
  });

  it('is refused where the source is not its own or does not fit, by name', async () => {
    const refused = async (id: string, code: Parameters<typeof problem>[1], more: Record<string, unknown> = {}) =>
      expect((await problem(await create({ source_classifier: id, ...more }), code)).param).toBe('source_classifier');
    await refused(deps.newId('classifier'), 'not_found');
    const stranger = await newTenant();
    await refused(await tinyClassifier(stranger.tenant, 3), 'not_found');
    const gone = await tinyClassifier(tenant, 2);
    expect((await call(`/v1/classifiers/${gone}`, { key, method: 'DELETE' })).status).toBe(200);
    await refused(gone, 'not_found');
    await refused(source, 'unprocessable', { classifier: source });
    await refused(await tinyClassifier(tenant, 0), 'unprocessable');
    const change = async (set: string) => {
      const id = await tinyClassifier(tenant, 2);
      await deps.d1.prepare(`update classifiers set ${set} where id = ?`).bind(id).run();
      return id;
    };
    await refused(await change(`modality = 'text'`), 'unprocessable');
    await refused(await change(`task = 'multi_label'`), 'unprocessable');
    await refused(await change(`backbone = 'another'`), 'unprocessable');
    const copy = await readyDataset(key);
    await deps.d1.prepare('update datasets set from_classifier = ? where id = ?').bind(source, copy.id).run();
    await refused(source, 'unprocessable', { dataset: copy.id });
    // Deleted after the job was made: the job ends, and says why.
    const late = await tinyClassifier(tenant, 2);
    const job = await newJob(key, { dataset, source_classifier: late });
    await call(`/v1/classifiers/${late}`, { key, method: 'DELETE' });
    expect((await runner('lease', { host: 'h', capacity: { kinds: ['train'], device: 'cpu' }, wait_seconds: 0 })).status).toBe(204);
    const ended = await answer(await call(`/v1/training/jobs/${job.id}`, { key }), 200, Job);
    expect(ended).toMatchObject({ status: 'failed', error: { blame: 'caller' } });
  });
});
