/** Leases: two hosts race, hosts vanish, tokens go stale, owners change their minds. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { JOB_MAX_ATTEMPTS } from '../../shared/limits.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Event } from '../../shared/wire/webhooks.ts';
import { Checkpoint, Job, JobEvent } from '../../shared/wire/jobs.ts';
import { CheckpointResponse, HeartbeatResponse, Lease } from '../../shared/runner.ts';
import { runScheduled } from '../../functions/queue/scheduled.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';
import { clearQueue, deps, lease, named, newJob, publishTinyBackbone, put, readyDataset, runner, RUNNER, TINY } from '../setup/training.ts';

const JobEvents = listOf(JobEvent, 'TrainingJobEventList');
let key = '';
let dataset = '';
beforeAll(async () => {
  ({ key } = await newTenant());
  await publishTinyBackbone();
  dataset = (await readyDataset(key)).id;
});
beforeEach(clearQueue);

const get = async (id: string) => await answer(await call(`/v1/training/jobs/${id}`, { key }), 200, Job);
const post = async (id: string, verb: string) => await call(`/v1/training/jobs/${id}/${verb}`, { key, method: 'POST' });
const statuses = async (id: string) => {
  const events = await answer(await call(`/v1/training/jobs/${id}/events?limit=100`, { key }), 200, JobEvents);
  return events.data.filter((e) => e.type === 'status').map((e) => e.data['status']);
};
const expire = async (id: string) => await deps.d1.prepare('update work set expires_at = 1 where id = ?').bind(id).run();

describe('leases', () => {
  it('gives a job to exactly one of many hosts', async () => {
    const { id } = await newJob(key, { dataset });
    const ask = { capacity: { kinds: ['train'], device: 'cpu' }, wait_seconds: 0 };
    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => runner('lease', { ...ask, host: `racer-${i}` })));
    expect(answers.map((a) => a.status).toSorted((a, b) => a - b)).toEqual([200, 204, 204, 204, 204, 204, 204, 204]);
    const won = await answer(
      answers.find((a) => a.status === 200)!,
      200,
      Lease,
    );
    expect(won.work).toMatchObject({ kind: 'train', job: id, dataset: { id: dataset }, backbone: { manifest: { id: TINY } }, incumbent: null });
    expect((await get(id)).status).toBe('validating');
    for (const file of Object.values(won.work.kind === 'train' ? won.work.backbone.files : {})) {
      const response = await fetch(file.url);
      expect((await response.arrayBuffer()).byteLength).toBe(file.bytes);
    }
    expect((await runner(`leases/${won.token}/release`, { reason: 'shutdown' })).status).toBe(204);
    expect(await get(id)).toMatchObject({ status: 'queued', attempts: 0 });
  });

  it('waits for work when asked to, and gets it when it comes', async () => {
    const waiting = runner('lease', { host: 'patient', capacity: { kinds: ['train'], device: 'cpu' }, wait_seconds: 10 });
    await new Promise((resolve) => setTimeout(resolve, 600));
    const { id } = await newJob(key, { dataset });
    const leased = await answer(await waiting, 200, Lease);
    expect(leased.work).toMatchObject({ job: id });
    await runner(`leases/${leased.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
  });

  it('is given once to a host that asks again because an answer was lost, also while it is still being asked', async () => {
    const first = await newJob(key, { dataset });
    const second = await newJob(key, { dataset });
    const token = `lease_${'7'.repeat(64)}`;
    const ask = { host: 'h', capacity: { kinds: ['train'], device: 'cpu' }, wait_seconds: 0, token };
    const both = await Promise.all([runner('lease', ask), runner('lease', ask)]);
    const again = await answer(await runner('lease', ask), 200, Lease);
    expect([again.token, again.attempt, again.fence, again.work]).toMatchObject([token, 1, 1, { job: first.id }]);
    for (const response of both) expect(await answer(response, 200, Lease)).toMatchObject({ token, fence: 1, work: { job: first.id } });
    expect(await statuses(first.id)).toEqual(['queued', 'validating']);
    expect(await get(second.id)).toMatchObject({ status: 'queued', attempts: 0 });
    expect((await runner(`leases/${token}/release`, { reason: 'shutdown' })).status).toBe(204);
    expect((await problem(await runner('lease', { ...ask, token: 'lease_mine' }), 'invalid_request')).errors?.[0]?.pointer).toBe('/token');
  });

  it('says in the job whether any host is there', async () => {
    const { id } = await newJob(key, { dataset });
    const second = await newJob(key, { dataset });
    expect((await get(id)).queue?.position).toBe(1);
    expect(second.queue?.position).toBe(2);
    await runner('lease', { host: 'other-kind', capacity: { kinds: [], device: 'cpu' }, wait_seconds: 0 });
    await deps.d1.prepare('delete from hosts').run();
    const ask = (kinds: string[]) => runner('lease', { host: 'two-slots', capacity: { kinds, device: 'cpu' }, wait_seconds: 0 });
    await ask(['validate']);
    expect((await get(id)).queue?.hosts_seen_seconds_ago).toBeNull();
    const held = await answer(await ask(['train']), 200, Lease);
    // Its other slot goes on asking, for its own kind.
    await ask(['validate']);
    expect((await get(second.id)).queue?.hosts_seen_seconds_ago).toBeLessThan(60);
    // An hour into the work, the host has asked for none since, and reports from what it holds.
    await deps.d1.prepare("update hosts set kinds = json_set(kinds, '$.train', json_extract(kinds, '$.train') - 3600000)").run();
    expect((await get(second.id)).queue?.hosts_seen_seconds_ago).toBeLessThan(60);
    await runner(`leases/${held.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
    expect((await get(second.id)).queue?.hosts_seen_seconds_ago).toBeGreaterThan(3_000);
  });

  it('is taken over after its expiry, and the first host can change nothing more', async () => {
    const { id } = await newJob(key, { dataset });
    const first = await lease(['train'], 'first');
    const renewed = await answer(await runner(`leases/${first.token}/heartbeat`, { progress: null }), 200, HeartbeatResponse);
    expect(renewed.command).toBe('continue');
    expect(Date.parse(renewed.expires_at)).toBeGreaterThan(Date.now() + 50_000);
    await expire(id);
    const second = await lease(['train'], 'second');
    expect(second).toMatchObject({ fence: first.fence + 1, attempt: 2 });
    const stale: [string, unknown][] = [
      ['heartbeat', { progress: null }],
      ['events', { events: [{ type: 'phase', phase: 'training' }] }],
      ['artifacts', { files: [{ name: 'head.safetensors', sha256: '0'.repeat(64), bytes: 1 }] }],
      ['checkpoint', { epoch: 1, sha256: '0'.repeat(64), bytes: 1, stored: false }],
      ['fail', { code: 'x', detail: 'x', retryable: true, blame: 'graft' }],
      ['release', { reason: 'shutdown' }],
    ];
    for (const [verb, body] of stale) await problem(await runner(`leases/${first.token}/${verb}`, body), 'stale_lease');
    expect((await get(id)).status).toBe('validating');
    expect(await statuses(id)).toEqual(['queued', 'validating', 'queued', 'validating']);
    await runner(`leases/${second.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
  });

  it('is swept by the schedule when no host comes, and gives up after the last attempt', async () => {
    const { id } = await newJob(key, { dataset });
    for (let attempt = 1; attempt <= JOB_MAX_ATTEMPTS; attempt++) {
      const leased = await lease(['train'], `mortal-${attempt}`);
      expect(leased.attempt).toBe(attempt);
      await expire(id);
      await runScheduled(deps);
      expect((await get(id)).status).toBe(attempt < JOB_MAX_ATTEMPTS ? 'queued' : 'failed');
    }
    expect((await get(id)).error).toMatchObject({ code: 'host_lost', blame: 'graft', attempts: JOB_MAX_ATTEMPTS });
    expect((await statuses(id)).at(-1)).toBe('failed');
  });

  it('backs off after a failure that may be repeated, and ends at one that may not', async () => {
    const { id } = await newJob(key, { dataset });
    const first = await lease(['train']);
    await runner(`leases/${first.token}/fail`, { code: 'out_of_memory', detail: 'Batch too large.', retryable: true, blame: 'graft' });
    expect((await get(id)).status).toBe('queued');
    const ask = { host: 'h', capacity: { kinds: ['train'], device: 'cpu' }, wait_seconds: 0 };
    expect((await runner('lease', ask)).status).toBe(204);
    await deps.d1.prepare('update work set available_at = 0 where id = ?').bind(id).run();
    const second = await lease(['train']);
    await runner(`leases/${second.token}/fail`, { code: 'bad_data', detail: 'Only one class.', retryable: false, blame: 'caller' });
    expect(await get(id)).toMatchObject({
      status: 'failed',
      error: { code: 'bad_data', detail: 'Only one class.', blame: 'caller', retryable: false, attempts: 2 },
    });
    const events = await answer(await call('/v1/events?limit=10', { key }), 200, listOf(Event, 'EventList'));
    expect(events.data[0]).toMatchObject({ type: 'training.job.failed', data: { id, error: { code: 'bad_data' } } });
  });
});

describe('inputs that do not answer', () => {
  const tries = async (id: string) => {
    for (let i = 0; i < JOB_MAX_ATTEMPTS + 1; i++) {
      await deps.d1.prepare('update work set available_at = 0 where id = ?').bind(id).run();
      expect((await runner('lease', { host: 'h', capacity: { kinds: ['train'], device: 'cpu' }, wait_seconds: 0 })).status).toBe(204);
    }
  };

  it('put the work off instead of using its attempts up, and for a day', async () => {
    const { id } = await newJob(key, { dataset });
    const { id: other } = await newJob(key, { dataset });
    await deps.objects.delete([objectKeys.backboneManifest(TINY)]);
    try {
      await tries(id);
      expect(await get(id)).toMatchObject({ status: 'queued', attempts: 0, error: null });
      const work = await deps.d1.prepare('select available_at from work where id = ?').bind(id).first<{ available_at: number }>();
      expect(work!.available_at).toBeGreaterThan(Date.now() + 50_000);
      await deps.d1.prepare('update work set created_at = created_at - 86400000 where id = ?').bind(other).run();
      await tries(other);
      expect(await get(other)).toMatchObject({ status: 'failed', error: { code: 'inputs_unavailable', blame: 'graft' } });
    } finally {
      await publishTinyBackbone();
    }
    await deps.d1.prepare('update work set available_at = 0 where id = ?').bind(id).run();
    const leased = await lease(['train']);
    expect([leased.attempt, leased.work]).toMatchObject([1, { job: id }]);
    await runner(`leases/${leased.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
  });
});

describe('progress and checkpoints', () => {
  it('keeps the newest three checkpoints of a job', async () => {
    const { id } = await newJob(key, { dataset });
    const leased = await lease(['train']);
    const objects: string[] = [];
    for (let epoch = 1; epoch <= 5; epoch++) {
      const bytes = new TextEncoder().encode(`checkpoint ${epoch}`);
      const facts = { epoch, sha256: (await named({ name: 'c', bytes })).sha256, bytes: bytes.length };
      const { upload } = await answer(await runner(`leases/${leased.token}/checkpoint`, { ...facts, stored: false }), 200, CheckpointResponse);
      await put(upload!, bytes);
      expect((await runner(`leases/${leased.token}/checkpoint`, { ...facts, stored: true })).status).toBe(200);
      objects.push(upload!.key);
    }
    const list = await answer(await call(`/v1/training/jobs/${id}/checkpoints`, { key }), 200, listOf(Checkpoint, 'CheckpointList'));
    expect(list.data.map((one) => one.epoch)).toEqual([5, 4, 3]);
    const heads = await Promise.all(objects.map((object) => deps.objects.head(object)));
    expect(heads.map((head) => head !== null)).toEqual([false, false, true, true, true]);
    await runner(`leases/${leased.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
  });

  it('shows phases, progress and log, and hands the last checkpoint to the next host', async () => {
    const { id } = await newJob(key, { dataset });
    const first = await lease(['train'], 'first');
    const progress = { epoch: 1, epochs: 5, step: 10, examples_per_second: 22.5, eta_seconds: 40, loss: 0.7 };
    const events = [
      { type: 'phase', phase: 'embedding' },
      { type: 'phase', phase: 'training' },
      { type: 'progress', progress },
      { type: 'log', level: 'warning', message: 'slow' },
    ];
    const tell = async (told: object[]) => await runner(`leases/${first.token}/events`, { events: told });
    expect((await tell([{ type: 'phase', phase: 'loading' }])).status).toBe(204);
    expect(await get(id)).toMatchObject({ status: 'validating' });
    // Some methods have no phase `training`: with the first of the work itself the job runs.
    expect((await tell(events.slice(0, 1))).status).toBe(204);
    expect(await get(id)).toMatchObject({ status: 'running' });
    expect((await tell(events.slice(1))).status).toBe(204);
    // Told twice: `running` is one change, one event.
    await tell(events.slice(1, 2));
    await runner(`leases/${first.token}/heartbeat`, { progress: { ...progress, step: 20 } });
    expect(await get(id)).toMatchObject({ status: 'running', progress: { epoch: 1, step: 20, eta_seconds: 40 } });
    expect(await statuses(id)).toEqual(['queued', 'validating', 'running']);
    const bytes = new TextEncoder().encode('a checkpoint');
    const { sha256 } = await named({ name: 'c', bytes });
    const stored = { epoch: 3, sha256, bytes: bytes.length };
    const upload = await answer(await runner(`leases/${first.token}/checkpoint`, { ...stored, stored: false }), 200, CheckpointResponse);
    await problem(await runner(`leases/${first.token}/checkpoint`, { ...stored, stored: true }), 'upload_incomplete');
    expect((await put(upload.upload!, bytes)).status).toBe(200);
    expect((await runner(`leases/${first.token}/checkpoint`, { ...stored, stored: true })).status).toBe(200);
    const list = await answer(await call(`/v1/training/jobs/${id}/checkpoints`, { key }), 200, listOf(Checkpoint, 'CheckpointList'));
    expect(list.data).toMatchObject([{ epoch: 3, sha256, bytes: bytes.length, attempt: 1 }]);
    // Another one of the same epoch: it is the one to go on from, and until its row is written the earlier one stays whole.
    const later = new TextEncoder().encode('a later checkpoint');
    const next = { epoch: 3, sha256: (await named({ name: 'c', bytes: later })).sha256, bytes: later.length };
    const target = await answer(await runner(`leases/${first.token}/checkpoint`, { ...next, stored: false }), 200, CheckpointResponse);
    expect(target.upload!.key).not.toBe(upload.upload!.key);
    expect((await put(target.upload!, later)).status).toBe(200);
    expect((await runner(`leases/${first.token}/checkpoint`, { ...next, stored: true })).status).toBe(200);
    // No row names the earlier one any more: its object would be left for ever. Told twice, the later one stays.
    expect(await deps.objects.head(upload.upload!.key)).toBeNull();
    expect((await runner(`leases/${first.token}/checkpoint`, { ...next, stored: true })).status).toBe(200);
    expect(await deps.objects.head(target.upload!.key)).not.toBeNull();
    await expire(id);
    const second = await lease(['train'], 'second');
    if (second.work.kind !== 'train') throw new Error('expected training');
    expect(second.work.checkpoint).toMatchObject({ epoch: 3, sha256: next.sha256 });
    expect(await (await fetch(second.work.checkpoint!.url)).text()).toBe('a later checkpoint');
    await runner(`leases/${second.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });

    // Once the job has ended nothing goes on from it: it is kept for a week.
    const kept = async () =>
      (await answer(await call(`/v1/training/jobs/${id}/checkpoints`, { key }), 200, listOf(Checkpoint, 'CheckpointList'))).data;
    const endedAgo = async (ms: number) =>
      await deps.d1
        .prepare('update jobs set finished_at = ? where id = ?')
        .bind(deps.now() - ms, id)
        .run();
    const day = 24 * 3_600_000;
    await endedAgo(6.9 * day);
    await runScheduled(deps);
    expect(await kept()).toHaveLength(1);
    await endedAgo(7.1 * day);
    await deps.d1.prepare("update jobs set status = 'paused' where id = ?").bind(id).run();
    await runScheduled(deps);
    expect(await kept()).toHaveLength(1);
    expect(await deps.objects.head(target.upload!.key)).not.toBeNull();
    await deps.d1.prepare("update jobs set status = 'failed' where id = ?").bind(id).run();
    await runScheduled(deps);
    expect(await kept()).toEqual([]);
    expect(await deps.objects.head(target.upload!.key)).toBeNull();

    const all = await answer(await call(`/v1/training/jobs/${id}/events?limit=100`, { key }), 200, JobEvents);
    expect(all.data.map((e) => e.id)).toEqual(all.data.map((_, i) => i + 1));
    const page = await answer(await call(`/v1/training/jobs/${id}/events?limit=2`, { key }), 200, JobEvents);
    const after = await answer(await call(`/v1/training/jobs/${id}/events?limit=2&cursor=${page.next_cursor}`, { key }), 200, JobEvents);
    expect(after.data.map((e) => e.id)).toEqual([3, 4]);
    const others = await answer(await call('/v1/events?limit=1', { key }), 200, listOf(Event, 'EventList'));
    expect(others.has_more).toBe(true);
    const foreign = await call(`/v1/training/jobs/${id}/events?cursor=${others.next_cursor}`, { key });
    expect((await problem(foreign, 'invalid_request')).param).toBe('cursor');

    // The stream of a job that is over: everything after Last-Event-ID, once, then the end.
    const headers = { accept: 'text/event-stream', 'last-event-id': '3' };
    const stream = await call(`/v1/training/jobs/${id}/events`, { key, headers });
    expect(stream.headers.get('content-type')).toContain('text/event-stream');
    const text = await stream.text();
    expect([...text.matchAll(/^id: (\d+)$/gm)].map((m) => Number(m[1]))).toEqual(all.data.slice(3).map((e) => e.id));
    expect(text).toContain('event: status');
  });

  it('tells each event and checkpoint once, though the host sends it again because an answer was lost', async () => {
    const { id } = await newJob(key, { dataset });
    const first = await lease(['train'], 'first');
    const say = async (token: string, number: number, ...messages: string[]) => {
      const events = messages.map((message) => ({ type: 'log', level: 'info', message }));
      expect((await runner(`leases/${token}/events`, { events, first: number })).status).toBe(204);
    };
    await say(first.token, 7, 'a', 'b');
    await say(first.token, 7, 'a', 'b');
    // Only the first of them had been taken.
    await say(first.token, 8, 'b', 'c');
    const bytes = new TextEncoder().encode('a checkpoint');
    const facts = { epoch: 1, sha256: (await named({ name: 'c', bytes })).sha256, bytes: bytes.length };
    const { upload } = await answer(await runner(`leases/${first.token}/checkpoint`, { ...facts, stored: false }), 200, CheckpointResponse);
    expect((await put(upload!, bytes)).status).toBe(200);
    for (let i = 0; i < 2; i++) expect((await runner(`leases/${first.token}/checkpoint`, { ...facts, stored: true })).status).toBe(200);
    await expire(id);
    // Another host counts from its own beginning.
    const second = await lease(['train'], 'second');
    await say(second.token, 1, 'd');
    const log = await answer(await call(`/v1/training/jobs/${id}/events?limit=100`, { key }), 200, JobEvents);
    expect(log.data.filter((e) => e.type === 'log').map((e) => e.data['message'])).toEqual(['a', 'b', 'c', 'd']);
    expect(log.data.filter((e) => e.type === 'checkpoint')).toHaveLength(1);
    await runner(`leases/${second.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
  });

  it('streams a running job until its end', async () => {
    const { id } = await newJob(key, { dataset });
    const stream = await call(`/v1/training/jobs/${id}/events`, { key, headers: { accept: 'text/event-stream' } });
    const text = stream.text();
    const leased = await lease(['train']);
    await runner(`leases/${leased.token}/events`, { events: [{ type: 'phase', phase: 'training' }] });
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    await post(id, 'cancel');
    const seen = [...(await text).matchAll(/"status":"([a-z]+)"/g)].map((m) => m[1]);
    expect(seen).toEqual(['queued', 'validating', 'running', 'cancelled']);
  });
});

describe('owners', () => {
  it('cancel at once, whoever holds the job', async () => {
    const { id } = await newJob(key, { dataset });
    const leased = await lease(['train']);
    expect((await answer(await post(id, 'cancel'), 200, Job)).status).toBe('cancelled');
    expect((await answer(await post(id, 'cancel'), 200, Job)).status).toBe('cancelled');
    const told = await answer(await runner(`leases/${leased.token}/heartbeat`, { progress: null }), 200, HeartbeatResponse);
    expect(told.command).toBe('cancel');
    expect((await runner(`leases/${leased.token}/release`, { reason: 'cancelled' })).status).toBe(204);
    expect(await get(id)).toMatchObject({ status: 'cancelled', requested: null });
    expect(await statuses(id)).toEqual(['queued', 'validating', 'cancelled']);
    await problem(await post(id, 'pause'), 'conflict');
    const waiting = await newJob(key, { dataset });
    expect((await answer(await post(waiting.id, 'cancel'), 200, Job)).status).toBe('cancelled');
    const ask = { host: 'h', capacity: { kinds: ['train'], device: 'cpu' }, wait_seconds: 0 };
    expect((await runner('lease', ask)).status).toBe(204);
  });

  it('cancel for good: what the host says before it hears of it is not told any more, and no checkpoint is taken', async () => {
    const { id } = await newJob(key, { dataset });
    const { token } = await lease(['train']);
    const events = [
      { type: 'phase', phase: 'training' },
      { type: 'log', level: 'info', message: 'before' },
    ];
    expect((await runner(`leases/${token}/events`, { events })).status).toBe(204);
    const bytes = new TextEncoder().encode('a checkpoint');
    const facts = { epoch: 1, sha256: (await named({ name: 'c', bytes })).sha256, bytes: bytes.length };
    const asked = await answer(await runner(`leases/${token}/checkpoint`, { ...facts, stored: false }), 200, CheckpointResponse);
    expect((await put(asked.upload!, bytes)).status).toBe(200);
    await post(id, 'cancel');
    const log = async () => (await answer(await call(`/v1/training/jobs/${id}/events?limit=100`, { key }), 200, JobEvents)).data;
    const before = await log();
    expect(before.at(-1)).toMatchObject({ type: 'status', data: { status: 'cancelled' } });

    const progress = { epoch: 1, epochs: 5, step: 10, examples_per_second: 22.5, eta_seconds: 40, loss: 0.7 };
    const late = [...events, { type: 'progress', progress }];
    expect((await runner(`leases/${token}/events`, { events: late })).status).toBe(204);
    expect((await runner(`leases/${token}/heartbeat`, { progress })).status).toBe(200);
    for (const stored of [true, false])
      expect(await answer(await runner(`leases/${token}/checkpoint`, { ...facts, stored }), 200, CheckpointResponse)).toMatchObject({ upload: null });
    expect(await log()).toEqual(before);
    expect(await get(id)).toMatchObject({ status: 'cancelled', progress: null });
    const list = await answer(await call(`/v1/training/jobs/${id}/checkpoints`, { key }), 200, listOf(Checkpoint, 'CheckpointList'));
    expect(list.data).toEqual([]);
    expect((await runner(`leases/${token}/release`, { reason: 'cancelled' })).status).toBe(204);
    await problem(await runner(`leases/${token}/events`, { events }), 'stale_lease');
  });

  it('pause and resume, waiting or running', async () => {
    const { id } = await newJob(key, { dataset });
    expect((await answer(await post(id, 'pause'), 200, Job)).status).toBe('paused');
    const ask = { host: 'h', capacity: { kinds: ['train'], device: 'cpu' }, wait_seconds: 0 };
    expect((await runner('lease', ask)).status).toBe(204);
    expect((await answer(await post(id, 'resume'), 200, Job)).status).toBe('queued');
    const leased = await lease(['train']);
    expect(await answer(await post(id, 'pause'), 200, Job)).toMatchObject({ status: 'validating', requested: 'pause' });
    const told = await answer(await runner(`leases/${leased.token}/heartbeat`, { progress: null }), 200, HeartbeatResponse);
    expect(told.command).toBe('pause');
    await runner(`leases/${leased.token}/release`, { reason: 'paused' });
    expect((await get(id)).status).toBe('paused');
    await post(id, 'resume');
    const again = await lease(['train']);
    expect(again.fence).toBe(leased.fence + 1);
    // The host dies while a pause is asked for: the sweep pauses.
    await post(id, 'pause');
    await expire(id);
    await runScheduled(deps);
    expect((await get(id)).status).toBe('paused');
    expect((await answer(await post(id, 'cancel'), 200, Job)).status).toBe('cancelled');
  });

  it('are told what is wrong with a job before it is queued', async () => {
    const create = async (json: Record<string, unknown>) => await call('/v1/training/jobs', { key, json: { backbone: TINY, ...json } });
    expect((await problem(await create({ dataset: deps.newId('dataset') }), 'not_found')).param).toBe('dataset');
    expect((await problem(await create({ dataset, classifier: deps.newId('classifier') }), 'not_found')).param).toBe('classifier');
    expect((await problem(await create({ dataset, backbone: 'nothing' }), 'unknown_backbone')).param).toBe('backbone');
    await problem(await create({ dataset, backbone: '../../etc' }), 'unknown_backbone');
    const slip = await problem(await create({ dataset: 'cls_1' }), 'invalid_request');
    expect(slip.errors).toEqual([expect.objectContaining({ pointer: '/dataset', detail: expect.stringContaining('begins with "ds_"') })]);
    expect((await problem(await create({ dataset, method: { type: 'magic' } }), 'invalid_request')).errors?.[0]?.pointer).toBe('/method/type');
    expect((await problem(await create({ dataset, target_dataset: dataset }), 'unprocessable')).param).toBe('target_dataset');
    const made = await call('/v1/datasets', { key, json: { name: 'd', modality: 'image', format: 'imagefolder' } });
    const { id } = await made.json<{ id: string }>();
    await problem(await create({ dataset: id }), 'dataset_not_ready');
    const job = await newJob(key, { dataset, seed: 7, metadata: { run: 'a' }, method: { type: 'fine_tune', epochs: 2 } });
    expect(job).toMatchObject({ status: 'queued', seed: 7, metadata: { run: 'a' }, hyperparameters: { epochs: 2 }, promote: 'if_better' });
    expect((await newJob(key, { dataset })).seed).not.toBe((await newJob(key, { dataset })).seed);
    const other = await newTenant();
    await problem(await call(`/v1/training/jobs/${job.id}`, { key: other.key }), 'not_found');
    await problem(await call(`/v1/training/jobs/${job.id}/cancel`, { key: other.key, method: 'POST' }), 'not_found');
    await problem(await call('/v1/training/jobs', { key: other.key, json: { dataset, backbone: TINY } }), 'not_found');
  });

  it("cannot lease with a tenant's key, nor without one", async () => {
    const ask = { host: 'h', capacity: { kinds: ['train'], device: 'cpu' }, wait_seconds: 0 };
    await problem(await call('/runner/v1/lease', { key, json: ask }), 'unauthorized');
    await problem(await call('/runner/v1/lease', { json: ask }), 'unauthorized');
    await problem(await call('/v1/training/jobs', { key: RUNNER }), 'unauthorized');
    await problem(await runner('leases/lease_unknown/heartbeat', {}), 'stale_lease');
    expect((await problem(await runner('lease', { ...ask, wait_seconds: 99 }), 'invalid_request')).errors?.[0]?.pointer).toBe('/wait_seconds');
  });
});
