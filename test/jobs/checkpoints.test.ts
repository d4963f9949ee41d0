/** Checkpoints that an owner chooses: which one a paused job goes on from, and for how long the choice holds. */
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { CheckpointResponse, type TrainWork } from '../../shared/runner.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Checkpoint, Job } from '../../shared/wire/jobs.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';
import { clearQueue, lease, named, newJob, publishTinyBackbone, put, readyDataset, runner } from '../setup/training.ts';

const Checkpoints = listOf(Checkpoint, 'CheckpointList');
let key = '';
let dataset = '';
beforeAll(async () => {
  ({ key } = await newTenant());
  await publishTinyBackbone();
  dataset = (await readyDataset(key)).id;
});
beforeEach(clearQueue);

const post = async (id: string, verb: string) => await call(`/v1/training/jobs/${id}/${verb}`, { key, method: 'POST' });
const kept = async (id: string) => (await answer(await call(`/v1/training/jobs/${id}/checkpoints`, { key }), 200, Checkpoints)).data;
const places = async (id: string) => (await kept(id)).map(({ epoch, attempt }) => [epoch, attempt]);

async function store(token: string, epoch: number, content: string): Promise<void> {
  const bytes = new TextEncoder().encode(content);
  const facts = { epoch, sha256: (await named({ name: 'c', bytes })).sha256, bytes: bytes.length };
  const { upload } = await answer(await runner(`leases/${token}/checkpoint`, { ...facts, stored: false }), 200, CheckpointResponse);
  await put(upload!, bytes);
  expect((await runner(`leases/${token}/checkpoint`, { ...facts, stored: true })).status).toBe(200);
}

/** Leased by the next host: what it goes on from, as it can be downloaded. */
async function goesOn(): Promise<{ token: string; from: string }> {
  const leased = await lease(['train']);
  return { token: leased.token, from: await (await fetch((leased.work as TrainWork).checkpoint!.url)).text() };
}

async function pause(id: string, token: string): Promise<void> {
  await answer(await post(id, 'pause'), 200, Job);
  expect((await runner(`leases/${token}/release`, { reason: 'paused' })).status).toBe(204);
}

it('a paused job goes on from the checkpoint that its owner chooses, until it has made a newer one', async () => {
  const { id } = await newJob(key, { dataset });
  const first = await lease(['train']);
  for (const epoch of [1, 2, 3]) await store(first.token, epoch, `epoch ${epoch}`);
  await pause(id, first.token);
  expect(await places(id)).toEqual([
    [3, 1],
    [2, 1],
    [1, 1],
  ]);
  expect((await kept(id)).map((one) => one.chosen_at)).toEqual([null, null, null]);

  expect((await answer(await post(id, 'resume?epoch=1'), 200, Job)).status).toBe('queued');
  expect((await places(id))[0]).toEqual([1, 1]);
  expect((await kept(id))[0]!.chosen_at).not.toBeNull();
  const second = await goesOn();
  expect(second.from).toBe('epoch 1');
  // What is made from there on is newer than the choice, and than what it was chosen over.
  await store(second.token, 2, 'epoch 2 again');
  expect(await places(id)).toEqual([
    [2, 2],
    [1, 1],
    [3, 1],
  ]);
  await pause(id, second.token);

  // Two attempts have the second epoch: without one the later is meant.
  await answer(await post(id, 'resume?epoch=2'), 200, Job);
  const third = await goesOn();
  expect(third.from).toBe('epoch 2 again');
  await pause(id, third.token);
  await answer(await post(id, 'resume?epoch=3&attempt=1'), 200, Job);
  const fourth = await goesOn();
  expect(fourth.from).toBe('epoch 3');
  await pause(id, fourth.token);
  // The last choice holds until something newer was made.
  await answer(await post(id, 'resume'), 200, Job);
  expect((await goesOn()).from).toBe('epoch 3');
});

it('refuses what cannot be chosen, and says what can', async () => {
  const { id } = await newJob(key, { dataset });
  const { token } = await lease(['train']);
  await store(token, 4, 'epoch 4');
  // A host is at work from another one.
  expect((await problem(await post(id, 'resume?epoch=4'), 'conflict')).detail).toContain('pause it');
  await pause(id, token);
  const unknown = await problem(await post(id, 'resume?epoch=7'), 'unprocessable');
  expect(unknown).toMatchObject({ param: 'epoch', detail: 'The job has no checkpoint of epoch 7; it has epoch 4 of attempt 1.' });
  expect((await problem(await post(id, 'resume?epoch=4&attempt=9'), 'unprocessable')).detail).toContain('epoch 4 of attempt 9');
  await problem(await post(id, 'resume?attempt=1'), 'invalid_request');
  await problem(await post(id, 'resume?epoch=soon'), 'invalid_request');
  await problem(await post(id, 'resume?step=4'), 'invalid_request');
  expect((await answer(await call(`/v1/training/jobs/${id}`, { key }), 200, Job)).status).toBe('paused');
  const stranger = (await newTenant()).key;
  await problem(await call(`/v1/training/jobs/${id}/resume?epoch=4`, { key: stranger, method: 'POST' }), 'not_found');
  expect((await kept(id))[0]!.chosen_at).toBeNull();
});
