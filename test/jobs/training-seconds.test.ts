/** What `GET /v1/usage` counts of training: the time that hosts spent for a tenant, however a job ended, and nothing that a fault of ours took. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Usage } from '../../shared/wire/usage.ts';
import { LEASE_TTL_SECONDS } from '../../shared/limits.ts';
import { runScheduled } from '../../functions/queue/scheduled.ts';
import { answer, call, newTenant } from '../setup/harness.ts';
import { clearQueue, deps, lease, newJob, publishTinyBackbone, readyDataset, runner } from '../setup/training.ts';

let key = '';
let dataset = '';
let before = 0;
const seconds = async () => (await answer(await call('/v1/usage', { key }), 200, Usage)).training_seconds;
beforeAll(async () => {
  ({ key } = await newTenant());
  await publishTinyBackbone();
  dataset = (await readyDataset(key)).id;
});
beforeEach(async () => {
  await clearQueue();
  before = await seconds();
});

/** A job whose host got it some minutes ago. */
async function heldFor(minutes: number): Promise<{ id: string; token: string }> {
  const { id } = await newJob(key, { dataset });
  const { token } = await lease(['train']);
  await deps.d1
    .prepare('update work set leased_at = leased_at - ? where id = ?')
    .bind(minutes * 60_000, id)
    .run();
  return { id, token };
}
const fail = async (token: string, blame: 'caller' | 'graft', retryable: boolean) =>
  await runner(`leases/${token}/fail`, { code: 'x', detail: 'x', retryable, blame });
/** Rounded up, and the calls of the test take some. */
const about = (spent: number, minutes: number) => {
  expect(spent).toBeGreaterThanOrEqual(minutes * 60);
  expect(spent).toBeLessThan(minutes * 60 + 30);
};

describe('training seconds', () => {
  it('count what a job took that failed by its own fault', async () => {
    const { token } = await heldFor(5);
    await fail(token, 'caller', false);
    about((await seconds()) - before, 5);
    // Said twice, counted once.
    expect((await fail(token, 'caller', false)).status).toBe(409);
    about((await seconds()) - before, 5);
  });

  it('count what was given back, paused or cancelled, each attempt once', async () => {
    const { id, token } = await heldFor(3);
    await runner(`leases/${token}/release`, { reason: 'shutdown' });
    about((await seconds()) - before, 3);
    const again = await lease(['train']);
    await deps.d1.prepare('update work set leased_at = leased_at - 120000 where id = ?').bind(id).run();
    await call(`/v1/training/jobs/${id}/cancel`, { key, method: 'POST' });
    await runner(`leases/${again.token}/release`, { reason: 'cancelled' });
    about((await seconds()) - before, 5);
  });

  it('do not count what a fault of ours took, but for a cancelled job until its host was last heard of', async () => {
    const { token } = await heldFor(4);
    await fail(token, 'graft', false);
    const lost = await heldFor(4);
    const vanish = async (id: string) =>
      await deps.d1
        .prepare('update work set expires_at = ? where id = ?')
        .bind(deps.now() - 1, id)
        .run();
    await vanish(lost.id);
    await runScheduled(deps);
    expect(await seconds()).toBe(before);
    await clearQueue();
    const cancelled = await heldFor(4);
    await call(`/v1/training/jobs/${cancelled.id}/cancel`, { key, method: 'POST' });
    await vanish(cancelled.id);
    await runScheduled(deps);
    const spent = (await seconds()) - before;
    expect(spent).toBeGreaterThanOrEqual(4 * 60 - LEASE_TTL_SECONDS - 1);
    expect(spent).toBeLessThan(4 * 60);
  });

  it('do not count inspections of datasets', async () => {
    await clearQueue();
    const made = await answer(await call('/v1/usage', { key }), 200, Usage);
    await readyDataset(key);
    expect(await seconds()).toBe(made.training_seconds);
  });
});
