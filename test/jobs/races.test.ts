/** An owner and a host at the same moment: what one of them saw is no longer so when the other's statement runs. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CheckpointResponse, HeartbeatResponse } from '../../shared/runner.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { Job } from '../../shared/wire/jobs.ts';
import { listCheckpoints } from '../../functions/stores/checkpoints.ts';
import { getWork, commandHolder, type WorkRow } from '../../functions/stores/work.ts';
import { steerJob } from '../../functions/usecases/jobs/steer-job.ts';
import { completeWork } from '../../functions/usecases/runner/complete-work.ts';
import { endAttempt } from '../../functions/usecases/runner/end-attempt.ts';
import { expireLeases } from '../../functions/usecases/runner/expire-leases.ts';
import { leaseWork } from '../../functions/usecases/runner/lease-work.ts';
import { finishPending } from '../../functions/usecases/runner/finish-pending.ts';
import { saveCheckpoint } from '../../functions/usecases/runner/serve-lease.ts';
import { answer, call, newTenant } from '../setup/harness.ts';
import { meanwhile } from '../setup/meanwhile.ts';
import {
  clearQueue,
  completionOf,
  deps,
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
} from '../setup/training.ts';

let key = '';
let tenant = '';
let dataset = '';
beforeAll(async () => {
  ({ key, tenant } = await newTenant());
  await publishTinyBackbone();
  dataset = (await readyDataset(key)).id;
});
beforeEach(clearQueue);

const get = async (id: string) => await answer(await call(`/v1/training/jobs/${id}`, { key }), 200, Job);
const post = async (id: string, verb: string) => await answer(await call(`/v1/training/jobs/${id}/${verb}`, { key, method: 'POST' }), 200, Job);
const workOf = async (id: string): Promise<WorkRow> => (await getWork(deps.db, id))!;
const ask = async () => (await runner('lease', { host: 'h', capacity: { kinds: ['train'], device: 'cpu' }, wait_seconds: 0 })).status;
const complete = async (id: string, token: string) => {
  const files = await trainedFiles(id);
  await sendFiles(token, files);
  return await runner(`leases/${token}/complete`, await completionOf(files, heldOutOf(200, { candidate: 180, incumbent: null })));
};

describe('the end of an attempt that was decided before the owner changed their mind', () => {
  it.each(['expired', 'released', 'failed'] as const)('%s: a job cancelled meanwhile goes to no other host', async (kind) => {
    const { id } = await newJob(key, { dataset });
    await lease(['train']);
    const cause = kind === 'failed' ? { kind, error: { code: 'x', detail: 'x', retryable: true, blame: 'graft' as const } } : { kind };
    if (kind === 'expired') await deps.d1.prepare('update work set expires_at = 1 where id = ?').bind(id).run();
    const seen = await workOf(id);
    await post(id, 'cancel');
    expect(await endAttempt(deps, seen, cause)).toBe(true);
    expect(await workOf(id)).toMatchObject({ status: 'dead', command: 'cancel' });
    await deps.d1.prepare('update work set available_at = 0 where id = ?').bind(id).run();
    expect(await ask()).toBe(204);
    expect((await get(id)).status).toBe('cancelled');
  });

  it('a pause that was asked for meanwhile is kept', async () => {
    const { id } = await newJob(key, { dataset });
    await lease(['train']);
    const seen = await workOf(id);
    await post(id, 'pause');
    expect(await endAttempt(deps, seen, { kind: 'released' })).toBe(true);
    expect((await get(id)).status).toBe('paused');
    expect(await ask()).toBe(204);
  });

  it('a host that was heard of again after it was found expired keeps its work', async () => {
    const { id } = await newJob(key, { dataset });
    const leased = await lease(['train']);
    await deps.d1.prepare('update work set expires_at = 1 where id = ?').bind(id).run();
    const seen = await workOf(id);
    await answer(await runner(`leases/${leased.token}/heartbeat`, { progress: null }), 200, HeartbeatResponse);
    expect(await endAttempt(deps, seen, { kind: 'expired' })).toBe(false);
    expect((await complete(id, leased.token)).status).toBe(200);
    expect((await get(id)).status).toBe('succeeded');
  });
});

describe('a Worker that ends right after it gave a job away', () => {
  it('has told of it: the log misses no step', async () => {
    const { id } = await newJob(key, { dataset });
    let given = false;
    const db = new Proxy(deps.db, {
      get(target, name) {
        const own = Reflect.get(target, name) as (...args: unknown[]) => unknown;
        if (typeof own !== 'function') return own;
        return (...args: unknown[]) => {
          if (given) throw new Error('the isolate is gone');
          given = name === 'batch';
          return own.apply(target, args);
        };
      },
    });
    const request = { host: 'h', capacity: { kinds: ['train' as const], device: 'cpu' as const }, wait_seconds: 0 };
    await expect(leaseWork({ ...deps, db }, { request })).rejects.toThrow('gone');
    await deps.d1.prepare('update work set expires_at = 1 where id = ?').bind(id).run();
    const { token } = await lease(['train']);
    const { results } = await deps.d1.prepare("select data from job_events where job_id = ? and type = 'status' order by sequence").bind(id).all();
    const told = results.map(({ data }) => JSON.parse(data as string) as Record<string, unknown>);
    expect(told.map(({ status }) => status)).toEqual(['queued', 'validating', 'queued', 'validating']);
    expect([told[1], told[3]]).toEqual([
      { status: 'validating', host: 'h', attempt: 1 },
      { status: 'validating', host: 'host-a', attempt: 2 },
    ]);
    await runner(`leases/${token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
  });
});

describe('a checkpoint', () => {
  it('of a host whose lease passes on while it is verified is not recorded', async () => {
    const { id } = await newJob(key, { dataset });
    const { token } = await lease(['train'], 'first');
    const bytes = new TextEncoder().encode('a checkpoint');
    const facts = { epoch: 1, sha256: (await named({ name: 'c', bytes })).sha256, bytes: bytes.length };
    const { upload } = await answer(await runner(`leases/${token}/checkpoint`, { ...facts, stored: false }), 200, CheckpointResponse);
    await put(upload!, bytes);
    let second = '';
    const racing = meanwhile(deps, async () => {
      await deps.d1.prepare('update work set expires_at = 1 where id = ?').bind(id).run();
      second = (await lease(['train'], 'second')).token;
    });
    await expect(saveCheckpoint(racing, { token, ...facts, stored: true })).rejects.toMatchObject({ code: 'stale_lease' });
    expect(await listCheckpoints(deps.db, id)).toEqual([]);
    await runner(`leases/${second}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
  });
});

describe('a wish that meets a host', () => {
  it('pauses a job that a host takes at that moment through the host, and its completion still counts', async () => {
    const { id } = await newJob(key, { dataset });
    let token = '';
    const racing = meanwhile(deps, async () => (token = (await lease(['train'])).token));
    expect(await steerJob(racing, { tenant, id, wish: 'pause' })).toMatchObject({ status: 'validating', requested: 'pause' });
    expect((await complete(id, token)).status).toBe(200);
    expect((await get(id)).status).toBe('succeeded');
  });

  it('does not queue again what another call resumed and a host has taken', async () => {
    const { id } = await newJob(key, { dataset });
    await post(id, 'pause');
    let token = '';
    const racing = meanwhile(deps, async () => {
      await post(id, 'resume');
      ({ token } = await lease(['train']));
    });
    expect(await steerJob(racing, { tenant, id, wish: 'resume' })).toMatchObject({ status: 'validating', requested: null });
    expect((await complete(id, token)).status).toBe(200);
    expect((await get(id)).status).toBe('succeeded');
  });

  it('takes no cancellation back', async () => {
    const { id } = await newJob(key, { dataset });
    const leased = await lease(['train']);
    await post(id, 'cancel');
    expect(await commandHolder(deps.db, id, 'continue')).toBe(false);
    const told = await answer(await runner(`leases/${leased.token}/heartbeat`, { progress: null }), 200, HeartbeatResponse);
    expect(told.command).toBe('cancel');
    await runner(`leases/${leased.token}/release`, { reason: 'cancelled' });
  });
});

describe('a verified completion', () => {
  /** A job of a classifier whose completion was verified while the classifier did not answer. */
  const waiting = async () => {
    const classifier = await tinyClassifier(tenant, 3);
    const { id } = await newJob(key, { dataset, classifier });
    const { token } = await lease(['train']);
    const files = await trainedFiles(id);
    await sendFiles(token, files);
    const request = await completionOf(files, heldOutOf(300, { candidate: 280, incumbent: 200, frozen: 270 }));
    const takeTrained = () => Promise.reject(new Error('The object storage could not carry out a GET.'));
    const silent = { ...deps, classifier: () => ({ takeTrained }) as unknown as ReturnType<typeof deps.classifier> };
    await expect(completeWork(silent, { token, request })).rejects.toMatchObject({ code: 'unavailable' });
    const since = async (ms: number) =>
      await deps.d1
        .prepare("update work set pending = json_set(pending, '$.since', json_extract(pending, '$.since') - ?) where id = ?")
        .bind(ms, id)
        .run();
    return { id, silent, since, again: async () => await runner(`leases/${token}/complete`, request) };
  };

  it('outlives an hour in which the classifier can read nothing, and is given up after a day', async () => {
    const hour = await waiting();
    await hour.since(3_600_000);
    await expect(finishPending(hour.silent, await workOf(hour.id))).rejects.toMatchObject({ code: 'unavailable' });
    expect((await hour.again()).status).toBe(200);
    expect((await get(hour.id)).result).toMatchObject({ decision: 'promoted' });

    const day = await waiting();
    await day.since(25 * 3_600_000);
    expect(await finishPending(day.silent, await workOf(day.id))).toMatchObject({ decision: 'refused' });
    expect((await get(day.id)).result?.reasons.at(-1)).toMatchObject({ code: 'not_taken', blocks: true });
  });

  it('that cannot be carried out yet keeps no vanished host from being noticed', async () => {
    const stuck = `insert into work (id, kind, tenant_id, status, token_hash, expires_at, available_at, pending, created_at)
      values (?1, 'train', ?2, 'leased', ?1, 1, 1, '{}', 1)`;
    const { id } = await newJob(key, { dataset });
    await lease(['train']);
    const ids = Array.from({ length: 30 }, () => deps.newId('job'));
    await deps.d1.batch(ids.map((one) => deps.d1.prepare(stuck).bind(one, tenant)));
    await deps.d1.prepare('update work set expires_at = 2 where id = ?').bind(id).run();
    await expireLeases(deps);
    expect((await get(id)).status).toBe('queued');
    // The next look, a moment later, leaves those alone that were just tried.
    const waits = "select count(*) as n from work where pending = '{}' and expires_at > ?";
    expect((await deps.d1.prepare(waits).bind(deps.now()).first<{ n: number }>())?.n).toBe(19);
    await deps.d1.prepare("delete from work where pending = '{}'").run();
  });

  it('of files that are gone is refused at once: no time brings them back', async () => {
    const gone = await waiting();
    const { fence } = await workOf(gone.id);
    await deps.objects.delete([objectKeys.artifact(tenant, gone.id, fence, 'embeddings.safetensors')]);
    expect((await gone.again()).status).toBe(200);
    const { decision, reasons } = (await get(gone.id)).result!;
    expect([decision, reasons.at(-1)]).toMatchObject(['refused', { code: 'not_taken', detail: expect.stringContaining('is not in object storage') }]);
  });
});
