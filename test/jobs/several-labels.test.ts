/** Jobs over rows of several labels: what is queued, what is refused and by which name, and what a host gets. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SeveralHeldOut } from '../../shared/engine.ts';
import { CompleteResponse, type TrainWork } from '../../shared/runner.ts';
import { AdviceJob, Job } from '../../shared/wire/jobs.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';
import {
  clearQueue,
  completionOf,
  deps,
  LABELS,
  lease,
  publishTinyBackbone,
  readyDataset,
  runner,
  sendFiles,
  TINY,
  tinyClassifier,
  trainedFiles,
} from '../setup/training.ts';

const SEVERAL = { task: 'multi_label' } as const;
let key = '';
let tenant = '';
let dataset = '';
let single = '';
beforeAll(async () => {
  ({ key, tenant } = await newTenant());
  await publishTinyBackbone();
  dataset = (await readyDataset(key, SEVERAL)).id;
  single = (await readyDataset(key)).id;
});
beforeEach(clearQueue);

const create = async (json: Record<string, unknown>) => await call('/v1/training/jobs', { key, json: { dataset, backbone: TINY, ...json } });
const refused = async (json: Record<string, unknown>, param: string): Promise<string> => {
  const fault = await problem(await create(json), 'unprocessable');
  expect(fault.param, fault.detail).toBe(param);
  return fault.detail;
};

describe('a job over rows of several labels', () => {
  it.each([{ type: 'auto' }, { type: 'linear_probe' }, { type: 'fine_tune' }, { type: 'fine_tune', depth: 'full' }, { type: 'from_scratch' }])(
    'takes the method $type',
    async (method) => {
      expect((await answer(await create({ method }), 201, Job)).method).toMatchObject(method);
    },
  );

  it.each(['contrastive', 'domain_adaptation', 'domain_confusion', 'multi_task', 'zero_shot'])('refuses the method %s by name', async (type) => {
    expect(await refused({ method: { type } }, 'method.type')).toContain('several labels');
  });

  it('refuses what would bring single labels in, by the name that brings it', async () => {
    const check = (await readyDataset(key, SEVERAL)).id;
    const source = await tinyClassifier(tenant, 2);
    await refused({ target_dataset: check }, 'target_dataset');
    await refused({ source_classifier: source }, 'source_classifier');
    await refused({ source_classifier: await tinyClassifier(tenant, 2, 'multi_label') }, 'source_classifier');
    await refused({ method: { type: 'auto', unseen_labels: ['apple'] } }, 'method.unseen_labels');
    // The other way round, too.
    expect(await refused({ classifier: source }, 'classifier')).toBe('The classifier has one label an input, the dataset several labels an input.');
    await refused({ dataset: single, classifier: await tinyClassifier(tenant, 2, 'multi_label') }, 'classifier');
    expect(await refused({ validation_dataset: single }, 'validation_dataset')).toContain('one label an input');
    expect(await refused({ dataset: single, validation_dataset: check }, 'validation_dataset')).toContain('several labels an input');
    await refused({ dataset: single, target_dataset: check, method: { type: 'domain_confusion' } }, 'target_dataset');
    await answer(await create({ validation_dataset: check }), 201, Job);
  });

  it('is given advice, but not on another domain, which nothing here adapts to', async () => {
    const ask = async (json: Record<string, unknown>) => await call('/v1/advice', { key, json: { backbone: TINY, ...json } });
    const asked = await answer(await ask({ dataset }), 202, AdviceJob);
    const { work, token } = await lease(['train']);
    expect(work).toMatchObject({ action: 'advise', job: asked.id, dataset: { id: dataset, manifest: SEVERAL } });
    expect((await runner(`leases/${token}/release`, { reason: 'shutdown' })).status).toBe(204);
    const other = (await readyDataset(key, SEVERAL)).id;
    expect(await problem(await ask({ dataset, target_dataset: other }), 'unprocessable')).toMatchObject({
      param: 'target_dataset',
      detail: expect.stringContaining('several labels'),
    });
    expect(await problem(await ask({ dataset: single, target_dataset: dataset }), 'unprocessable')).toMatchObject({ param: 'target_dataset' });
  });

  it('hands the host the dataset as it is, what to leave out, and every label of the examples', async () => {
    const classifier = await tinyClassifier(tenant, 2, 'multi_label');
    const job = await answer(await create({ classifier, exclude: ['conflicting_duplicate'] }), 201, Job);
    const leased = await lease(['train']);
    const work = leased.work as TrainWork;
    expect(work).toMatchObject({ job: job.id, dataset: { id: dataset, manifest: SEVERAL }, exclude: ['conflicting_duplicate'], advice: null });
    expect(work.enrolled.map(({ label, labels }) => `${label} ${labels?.join()}`).toSorted()).toEqual([
      'null apple',
      'null apple',
      'null pear',
      'null pear',
    ]);
    expect((await runner(`leases/${leased.token}/release`, { reason: 'shutdown' })).status).toBe(204);
  });

  /** 200 rows of none, the first, the second or both labels; each contender says the first `right` of them exactly and then the other label too. */
  function heldOut(right: { candidate: number; incumbent: number }): SeveralHeldOut {
    const truth = Array.from({ length: 200 }, (_, i) => [0, 1].filter((c) => ((i >> c) & 1) === 1));
    const answers = (good: number) => {
      const prediction = truth.map((own, i) => (i < good ? own : [0, 1].filter((c) => !own.includes(c))));
      return { prediction, probability: prediction.map((said) => said.map(() => good / 200)) };
    };
    return {
      task: 'multi_label',
      split: 'test',
      labels: [...LABELS],
      rows: truth.map((_, i) => 1_000 + i),
      truth,
      candidate: answers(right.candidate),
      incumbent: answers(right.incumbent),
      frozen: answers(right.candidate),
      baseline: answers(50),
      zero_shot: null,
      scratch: null,
      source_only: null,
    };
  }
  async function completed(
    classifier: string,
    right: { candidate: number; incumbent: number },
    task: 'single_label' | 'multi_label' = 'multi_label',
  ) {
    const job = await answer(await create({ classifier }), 201, Job);
    const { token } = await lease(['train']);
    const files = await trainedFiles(job.id, { task });
    await sendFiles(token, files);
    const response = await runner(`leases/${token}/complete`, await completionOf(files, heldOut(right)));
    return { response, result: async () => (await answer(await call(`/v1/training/jobs/${job.id}`, { key }), 200, Job)).result! };
  }

  it('is promoted by its exact matches and refused by them, and tells the figures of labels', async () => {
    const classifier = await tinyClassifier(tenant, 3, 'multi_label');
    const better = await completed(classifier, { candidate: 180, incumbent: 140 });
    expect(await answer(better.response, 200, CompleteResponse)).toMatchObject({ status: 'succeeded', decision: 'promoted' });
    const { metrics, reasons, comparisons, version } = await better.result();
    expect(metrics.candidate.accuracy.value).toBe(0.9);
    expect(metrics.candidate.macro_f1!.value).toBeCloseTo(0.9, 2);
    expect(metrics.incumbent!.macro_f1!.interval.high).toBeLessThan(metrics.candidate.macro_f1!.value);
    expect(reasons.find((r) => r.code === 'better_than_incumbent')?.detail).toContain('more exact matches');
    expect(comparisons.find((c) => c.against === 'incumbent')).toMatchObject({ wins: 40, losses: 0 });
    expect((await deps.classifier(classifier).describe())!.version).toBe(version);
    const worse = await completed(classifier, { candidate: 120, incumbent: 180 });
    expect(await answer(worse.response, 200, CompleteResponse)).toMatchObject({ decision: 'refused' });
    expect((await worse.result()).reasons.map((r) => r.code)).toEqual(
      expect.arrayContaining(['worse_than_incumbent', 'worse_macro_f1', 'worse_on_class']),
    );
    expect((await deps.classifier(classifier).describe())!.version).toBe(version);
  });

  it('is not finished with a head of single labels', async () => {
    const { response } = await completed(await tinyClassifier(tenant, 3, 'multi_label'), { candidate: 180, incumbent: 140 }, 'single_label');
    expect((await problem(response, 'unprocessable')).detail).toContain('single_label');
  });
});
