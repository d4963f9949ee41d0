/** Advice jobs over the real runner door: the machine of training jobs, a result that is advice, an end that is fenced and repeatable. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Advice } from '../../shared/advice.ts';
import { CompleteResponse, type TrainWork } from '../../shared/runner.ts';
import { AdviceJob, AnyJob, JobEvent } from '../../shared/wire/jobs.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Event } from '../../shared/wire/webhooks.ts';
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
  trainedFiles,
} from '../setup/training.ts';

const JobList = listOf(AnyJob, 'TrainingJobList');
const JobEvents = listOf(JobEvent, 'TrainingJobEventList');
let key = '';
let dataset = '';
let target = '';
beforeAll(async () => {
  ({ key } = await newTenant());
  await publishTinyBackbone();
  dataset = (await readyDataset(key)).id;
  target = (await readyDataset(key)).id;
});
beforeEach(clearQueue);

const advice: Advice = {
  summary: 'Transfer tiny-image with a linear head, now.',
  what: { backbone: TINY, layers: 'head', because: 'It is the only one.' },
  when: { verdict: 'not_yet', because: 'Four examples a class.', examples_needed: 12 },
  how: { method: 'linear_probe', options: {}, because: 'Closed form.' },
  expected: { accuracy: 0.8, interval: { low: 0.6, high: 0.9 }, gain_over_frozen: 0, seconds: 3, device: 'cpu', basis: 'measured' },
  backbones: [{ backbone: TINY, accuracy: 0.8, interval: { low: 0.6, high: 0.9 }, log_me: 0.4, h_score: 0.7, leep: null, embed_seconds: 2 }],
  learning_curve: [{ examples_per_class: 4, accuracy: 0.8, interval: { low: 0.6, high: 0.9 }, measured: true }],
  distance: null,
  label_noise: 0.02,
  options: [],
  trials: [],
  notes: [],
};
const ask = async (more: Record<string, unknown> = {}) =>
  await answer(await call('/v1/advice', { key, json: { dataset, backbone: TINY, ...more } }), 202, AdviceJob);
const get = async (id: string) => await answer(await call(`/v1/training/jobs/${id}`, { key }), 200, AnyJob);
const complete = async (token: string, more: Partial<Advice> = {}) =>
  await runner(`leases/${token}/complete`, { kind: 'advice', advice: { ...advice, ...more }, seconds: 4.2 });

describe('advice', () => {
  it('goes through the machine of jobs and ends with what, when and how', async () => {
    const asked = await ask({ target_dataset: target, metadata: { why: 'curious' } });
    expect(asked).toMatchObject({ object: 'training.job', kind: 'advice', status: 'queued', dataset, target_dataset: target, result: null });
    const leased = await lease(['train']);
    const work = leased.work as TrainWork;
    expect(work).toMatchObject({ kind: 'train', action: 'advise', job: asked.id, incumbent: null, enrolled: [], target: { id: target } });
    expect(work.backbones.map((b) => b.manifest.id)).toContain(TINY);
    await runner(`leases/${leased.token}/events`, { events: [{ type: 'phase', phase: 'advising' }] });
    expect((await get(asked.id)).status).toBe('running');
    const first = await answer(await complete(leased.token), 200, CompleteResponse);
    expect(first).toEqual({ status: 'succeeded', decision: null });
    // Sent again after a lost answer; and a different one is refused.
    expect(await answer(await complete(leased.token), 200, CompleteResponse)).toEqual(first);
    await problem(await complete(leased.token, { summary: 'Something else.' }), 'conflict');
    const job = await get(asked.id);
    expect(job).toMatchObject({ kind: 'advice', status: 'succeeded', result: advice, model: null, metadata: { why: 'curious' } });
    const log = await answer(await call(`/v1/training/jobs/${asked.id}/events?limit=100`, { key }), 200, JobEvents);
    const moves = log.data.filter((e) => e.type === 'status').map((e) => e.data['status']);
    expect(moves).toEqual(['queued', 'validating', 'running', 'succeeded']);
    const events = await answer(await call('/v1/events?limit=100', { key }), 200, listOf(Event, 'EventList'));
    expect(events.data.filter((e) => e.type === 'training.job.succeeded' && e.data['id'] === asked.id)).toMatchObject([{ data: { kind: 'advice' } }]);
    expect((await answer(await call('/v1/training/jobs', { key }), 200, JobList)).data[0]?.id).toBe(asked.id);
  });

  it('is not told by a host whose lease has passed on', async () => {
    const { id } = await ask();
    const first = await lease(['train'], 'first');
    await deps.d1.prepare('update work set expires_at = 1 where id = ?').bind(id).run();
    const second = await lease(['train'], 'second');
    await problem(await complete(first.token), 'stale_lease');
    expect((await complete(second.token)).status).toBe(200);
    expect((await get(id)).status).toBe('succeeded');
  });

  it('can be cancelled, and then nothing is told', async () => {
    const { id } = await ask();
    const leased = await lease(['train']);
    expect((await answer(await call(`/v1/training/jobs/${id}/cancel`, { key, method: 'POST' }), 200, AdviceJob)).status).toBe('cancelled');
    await problem(await complete(leased.token), 'stale_lease');
    expect(await get(id)).toMatchObject({ status: 'cancelled', result: null });
  });

  it('is no training, and training is no advice', async () => {
    const asked = await ask();
    const advising = await lease(['train']);
    const files = await trainedFiles(asked.id);
    await sendFiles(advising.token, files);
    const trained = await completionOf(files, heldOutOf(8, { candidate: 8, incumbent: null }));
    expect((await problem(await runner(`leases/${advising.token}/complete`, trained), 'unprocessable')).detail).toContain('advice');
    await runner(`leases/${advising.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
    const job = await newJob(key, { dataset });
    expect(job.kind).toBe('training');
    const training = await lease(['train']);
    expect((await problem(await complete(training.token), 'unprocessable')).detail).toContain('training');
    await runner(`leases/${training.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
  });

  it('is what "auto" goes by on the same rows, and on no others', async () => {
    const mine = await newTenant();
    const rows = (await readyDataset(mine.key)).id;
    const asked = await answer(await call('/v1/advice', { key: mine.key, json: { dataset: rows, backbone: TINY } }), 202, AdviceJob);
    const given = async (by: string, json: Record<string, unknown>) => {
      const job = await newJob(by, json);
      const leased = await lease(['train']);
      expect((leased.work as TrainWork).job).toBe(job.id);
      return { leased, advice: (leased.work as TrainWork).advice };
    };
    const advising = await lease(['train']);
    expect((advising.work as TrainWork).advice).toBeNull();
    // Not finished yet: nothing to go by.
    expect((await given(mine.key, { dataset: rows })).advice).toBeNull();
    expect((await complete(advising.token)).status).toBe(200);
    // Another dataset of the same bytes is the same rows.
    const copy = (await readyDataset(mine.key)).id;
    const { leased, advice: taken } = await given(mine.key, { dataset: copy });
    expect(taken).toEqual({ job: asked.id, advice });
    expect((await given(mine.key, { dataset: rows, method: { type: 'fine_tune' } })).advice).toBeNull();
    expect((await given(mine.key, { dataset: rows, exclude: ['outlier'] })).advice).toBeNull();
    expect((await given(mine.key, { dataset: rows, target_dataset: copy })).advice).toBeNull();
    const stranger = (await newTenant()).key;
    expect((await given(stranger, { dataset: (await readyDataset(stranger)).id })).advice).toBeNull();
    // What it chose and why is a line of the job's log.
    const choice = { type: 'choice', method: 'linear_probe', because: 'Four examples a class.', options: [] };
    expect((await runner(`leases/${leased.token}/events`, { events: [choice] })).status).toBe(204);
    const log = await answer(await call(`/v1/training/jobs/${(leased.work as TrainWork).job}/events?limit=100`, { key: mine.key }), 200, JobEvents);
    expect(log.data.find((event) => event.type === 'choice')?.data).toEqual({
      method: 'linear_probe',
      because: 'Four examples a class.',
      options: [],
    });
    // Advice about another backbone says nothing about this one.
    const again = await answer(await call('/v1/advice', { key: mine.key, json: { dataset: rows, backbone: TINY } }), 202, AdviceJob);
    const other = await lease(['train']);
    expect((other.work as TrainWork).job).toBe(again.id);
    await complete(other.token, { what: { ...advice.what, backbone: 'another' } });
    expect((await given(mine.key, { dataset: rows })).advice?.job).toBe(asked.id);
  });

  it('is refused where nothing could be said', async () => {
    const open = await call('/v1/datasets', { key, json: { name: 'd', modality: 'image', format: 'imagefolder' } });
    const { id } = await open.json<{ id: string }>();
    await problem(await call('/v1/advice', { key, json: { dataset: id } }), 'dataset_not_ready');
    await problem(await call('/v1/advice', { key, json: { dataset, backbone: TINY, target_dataset: dataset } }), 'unprocessable');
    await problem(await call('/v1/advice', { key, json: { dataset, backbone: 'nobody' } }), 'unknown_backbone');
    await problem(await call('/v1/advice', { key, json: { dataset, method: { type: 'auto' } } }), 'invalid_request');
    const stranger = (await newTenant()).key;
    await problem(await call('/v1/advice', { key: stranger, json: { dataset } }), 'not_found');
  });
});
