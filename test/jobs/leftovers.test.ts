/** What attempts leave in object storage: gone when nothing can bring it back, and nothing else with it. */
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { HOST_UPLOAD_TTL_SECONDS } from '../../shared/limits.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { CheckpointResponse } from '../../shared/runner.ts';
import { runScheduled } from '../../functions/queue/scheduled.ts';
import { answer, call, newTenant } from '../setup/harness.ts';
import {
  clearQueue,
  completionOf,
  deps,
  frozenFiles,
  heldOutOf,
  lease,
  named,
  newJob,
  publishTinyBackbone,
  put,
  readyDataset,
  runner,
  sendFiles,
  tinyClassifier,
  trainedFiles,
  uploadedDataset,
} from '../setup/training.ts';

let key = '';
let tenant = '';
beforeAll(async () => {
  ({ key, tenant } = await newTenant());
  await publishTinyBackbone();
});
beforeEach(clearQueue);

const keysUnder = async (prefix: string) => (await deps.objects.list(prefix)).objects.map((object) => object.key.slice(prefix.length)).toSorted();
const expire = async (id: string) => await deps.d1.prepare('update work set expires_at = 1 where id = ?').bind(id).run();
/** The sweep as it comes after all signatures have run out, and as it came before. */
const sweepAfter = async (hours: number) =>
  await runScheduled({ ...deps, now: () => Date.now() + HOST_UPLOAD_TTL_SECONDS * 1_000 + hours * 3_600_000 });

async function storeCheckpoint(token: string, epoch: number, recorded: boolean): Promise<void> {
  const bytes = new TextEncoder().encode(`checkpoint ${epoch}`);
  const facts = { epoch, sha256: (await named({ name: 'c', bytes })).sha256, bytes: bytes.length };
  const { upload } = await answer(await runner(`leases/${token}/checkpoint`, { ...facts, stored: false }), 200, CheckpointResponse);
  expect((await put(upload!, bytes)).status).toBe(200);
  if (recorded) expect((await runner(`leases/${token}/checkpoint`, { ...facts, stored: true })).status).toBe(200);
}

it('a finished job keeps its model and its checkpoints, and neither inputs nor what a lost host had sent', async () => {
  const { id: dataset } = await readyDataset(key);
  const classifier = await tinyClassifier(tenant, 3);
  const { id } = await newJob(key, { dataset, classifier });
  const { id: waiting } = await newJob(key, { dataset, classifier });
  const lost = await lease(['train'], 'lost');
  const files = await trainedFiles(id);
  await sendFiles(lost.token, files.slice(1));
  await storeCheckpoint(lost.token, 1, true);
  await storeCheckpoint(lost.token, 2, false);
  await expire(id);
  const next = await lease(['train'], 'next');
  await sendFiles(next.token, files);
  const held = heldOutOf(200, { candidate: 180, incumbent: 100 });
  const done = await runner(`leases/${next.token}/complete`, await completionOf(files, held));
  expect(done.status, await done.text()).toBe(200);
  const other = await lease(['train'], 'other');
  await sendFiles(other.token, files.slice(0, 1));

  const job = objectKeys.job(tenant, id);
  const all = await keysUnder(job);
  const kept = all.filter((one) => one.startsWith('artifacts/2/') || one.startsWith('checkpoints/1-1-'));
  expect(kept).toHaveLength(files.length + 1);
  expect(all.length).toBe(kept.length + (files.length - 1) + 1 + 2);
  const before = await keysUnder(objectKeys.job(tenant, waiting));
  await sweepAfter(0);
  expect(await keysUnder(job)).toEqual(all);
  await deps.d1.prepare('update work set expires_at = ? where id = ?').bind(Number.MAX_SAFE_INTEGER, waiting).run();
  await sweepAfter(2);
  expect(await keysUnder(job)).toEqual(kept);
  // That one goes on.
  expect(await keysUnder(objectKeys.job(tenant, waiting))).toEqual(before);
  expect((await call(`/v1/training/jobs/${waiting}/cancel`, { key, method: 'POST' })).status).toBe(200);
  await runner(`leases/${other.token}/release`, { reason: 'cancelled' });
  await sweepAfter(2);
  expect(await keysUnder(objectKeys.job(tenant, waiting))).toEqual([]);
  expect(await keysUnder(job)).toEqual(kept);
});

it('a dataset keeps the files that it was frozen with, and none of another attempt', async () => {
  const { id } = await uploadedDataset(key);
  const { files, manifest } = await frozenFiles();
  const lost = await lease(['validate'], 'lost');
  await sendFiles(lost.token, files);
  await expire(id);
  const next = await lease(['validate'], 'next');
  await sendFiles(next.token, files);
  const done = await runner(`leases/${next.token}/complete`, { kind: 'validate', ready: true, manifest, errors: [], error_count: 0 });
  expect(done.status, await done.text()).toBe(200);
  const frozen = objectKeys.frozenOf(tenant, id);
  const of = (fence: number) => files.map((file) => `${fence}/${file.name}`).toSorted();
  expect(await keysUnder(frozen)).toEqual([...of(lost.fence), ...of(next.fence)]);
  await sweepAfter(2);
  expect(await keysUnder(frozen)).toEqual(of(next.fence));
});
