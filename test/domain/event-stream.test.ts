/** How often a stream of a job's log looks, and that it says everything once and in order. The clock is the test's. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LOOKS_MAX, nextWait, STREAM_PAGE, streamJobEvents, type Look } from '../../functions/routes/jobs/event-stream.ts';
import type { JobStatus } from '../../shared/jobs.ts';
import type { JobEvent } from '../../shared/wire/jobs.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A job in memory, and a stream of it whose text is collected. */
function watched() {
  const log: JobEvent[] = [];
  const job: { status: JobStatus; progress: null } = { status: 'queued', progress: null };
  const looks: number[] = [];
  const add = (count: number) => {
    for (let i = 0; i < count; i++)
      log.push({ object: 'training.job.event', id: log.length + 1, job: 'job_1', type: 'log', data: {}, created_at: '2026-01-01T00:00:00.000Z' });
  };
  const look: Look = async (after, limit) => {
    looks.push(Date.now());
    return { ...job, events: log.filter((e) => e.id > after).slice(0, limit + 1) };
  };
  const connect = async (after = 0) => streamJobEvents('job_1', look, await look(after, STREAM_PAGE), after);
  const start = async () => {
    const response = await connect();
    let text = '';
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const ended = (async () => {
      for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    })();
    return { ended, text: () => text, reader };
  };
  return { job, looks, add, connect, start };
}
const ids = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map((m) => Number(m[1]));

test('looks each second while a host has the job, and at most every five while none has', async () => {
  const { job, looks, add, start } = watched();
  add(1);
  const stream = await start();
  await vi.advanceTimersByTimeAsync(120_000);
  const idle = looks.splice(0).length;
  expect(idle).toBeLessThan(30);
  expect(stream.text()).toContain(': still here');
  // A host takes it: seen within five seconds, and from then on within one.
  [job.status] = ['running'];
  add(1);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(ids(stream.text())).toEqual([1, 2]);
  looks.splice(0);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(looks.length).toBe(30);
  add(1);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(ids(stream.text())).toEqual([1, 2, 3]);
  [job.status] = ['cancelled'];
  await vi.advanceTimersByTimeAsync(1_000);
  await stream.ended;
});

test('waits longer and longer, and begins anew with everything that happens', () => {
  const waits = [0, 0, 0, 0, 0].reduce<number[]>((all) => [...all, nextWait('queued', false, all.at(-1)!)], [1_000]);
  expect(waits).toEqual([1_000, 1_500, 2_250, 3_375, 5_000, 5_000]);
  expect(nextWait('paused', true, 5_000)).toBe(1_000);
  expect(nextWait('validating', false, 5_000)).toBe(1_000);
});

test('says a log of several pages to its end before it ends with the job', async () => {
  const { job, looks, add, start } = watched();
  add(2 * STREAM_PAGE + 7);
  [job.status] = ['failed'];
  const stream = await start();
  await vi.advanceTimersByTimeAsync(10);
  await stream.ended;
  expect(ids(stream.text())).toEqual(Array.from({ length: 2 * STREAM_PAGE + 7 }, (_, i) => i + 1));
  expect(looks.length).toBe(3);
});

test('lets whoever connects again read the rest, and tells an EventSource to stop where there is none to come', async () => {
  const { job, add, connect } = watched();
  add(3);
  const open = await connect(3);
  expect(open.status).toBe(200);
  await open.body?.cancel();
  [job.status] = ['succeeded'];
  expect(ids(await (await connect(2)).text())).toEqual([3]);
  const over = await connect(3);
  expect([over.status, await over.text()]).toEqual([204, '']);
});

test('stops looking when nobody listens any more', async () => {
  const { looks, start } = watched();
  const stream = await start();
  await vi.advanceTimersByTimeAsync(3_000);
  await stream.reader.cancel();
  const before = looks.length;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(looks.length - before).toBeLessThanOrEqual(1);
});

test('ends before a request has asked the database more than it may, and goes on where it was', async () => {
  const { job, looks, add, start, connect } = watched();
  [job.status] = ['running'];
  add(1);
  const stream = await start();
  await vi.advanceTimersByTimeAsync(LOOKS_MAX * 1_000);
  await stream.ended;
  // Two statements each, and a few of authentication.
  expect(2 * looks.length).toBeGreaterThan(800);
  expect(2 * looks.length).toBeLessThan(950);
  [job.status] = ['succeeded'];
  add(1);
  expect(ids(await (await connect(ids(stream.text()).at(-1))).text())).toEqual([2]);
});
