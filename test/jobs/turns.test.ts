/** Whose turn it is: tenants share hosts, whoever queued more, and what a job says of its place is what happens. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { queuePositions } from '../../functions/stores/work-line.ts';
import { Dataset } from '../../shared/wire/datasets.ts';
import { AnyJob, Job } from '../../shared/wire/jobs.ts';
import { listOf } from '../../shared/wire/page.ts';
import { answer, call, newTenant } from '../setup/harness.ts';
import { clearQueue, deps, lease, newJob, publishTinyBackbone, readyDataset, runner } from '../setup/training.ts';

type Tenant = { readonly tenant: string; readonly key: string; readonly dataset: string };
let many: Tenant;
let few: Tenant;
let third: Tenant;
beforeAll(async () => {
  await publishTinyBackbone();
  const make = async (): Promise<Tenant> => {
    const { tenant, key } = await newTenant();
    return { tenant, key, dataset: (await readyDataset(key)).id };
  };
  many = await make();
  few = await make();
  third = await make();
});
beforeEach(async () => {
  await clearQueue();
  await deps.d1.prepare('update work set leased_at = null').run();
});

const jobs = async (who: Tenant, n: number): Promise<string[]> => {
  const ids: string[] = [];
  for (let i = 0; i < n; i++) ids.push((await newJob(who.key, { dataset: who.dataset })).id);
  return ids;
};
const idOf = ({ work }: Awaited<ReturnType<typeof lease>>): string =>
  work.kind === 'train' ? work.job : work.kind === 'validate' ? work.dataset : '';
const end = async (token: string) => await runner(`leases/${token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'caller' });
const positions = async (who: Tenant, ids: readonly string[]): Promise<(number | undefined)[]> => {
  const all = await Promise.all(ids.map(async (id) => await answer(await call(`/v1/training/jobs/${id}`, { key: who.key }), 200, Job)));
  return all.map((job) => job.queue?.position);
};

describe('turns', () => {
  it('alternate on a single host, and positions say so before', async () => {
    const first = await jobs(many, 4);
    const later = await jobs(few, 2);
    expect(await positions(many, first)).toEqual([1, 3, 5, 6]);
    expect(await positions(few, later)).toEqual([2, 4]);
    const order: string[] = [];
    for (let i = 0; i < 6; i++) {
      const held = await lease(['train']);
      order.push(idOf(held));
      await end(held.token);
    }
    expect(order).toEqual([first[0], later[0], first[1], later[1], first[2], first[3]]);
  });

  it('go to whoever has least in work, on several hosts', async () => {
    const [a, b, c] = await jobs(many, 5);
    const taken = [await lease(['train'], 'h1'), await lease(['train'], 'h2')];
    expect(taken.map(idOf)).toEqual([a, b]);
    const mine = await jobs(few, 3);
    // Two in work against none: the newcomer gets two before it is level, and then whoever waited longer.
    expect(await positions(few, mine)).toEqual([1, 2, 4]);
    expect(await positions(many, [c!])).toEqual([3]);
    for (const expected of [mine[0], mine[1], c, mine[2]]) {
      const held = await lease(['train'], 'more');
      expect(idOf(held)).toBe(expected);
      taken.push(held);
    }
    for (const held of taken) await end(held.token);
  });

  it('are kept by work that was given back, and count once it failed', async () => {
    const [a] = await jobs(many, 2);
    const [b] = await jobs(few, 1);
    const first = await lease(['train']);
    expect(idOf(first)).toBe(a);
    await runner(`leases/${first.token}/release`, { reason: 'shutdown' });
    expect(await positions(few, [b!])).toEqual([2]);
    const again = await lease(['train']);
    expect(idOf(again)).toBe(a);
    await runner(`leases/${again.token}/fail`, { code: 'out_of_memory', detail: 'x', retryable: true, blame: 'graft' });
    // It waits for its time, behind everything that can be had.
    expect(await positions(few, [b!])).toEqual([1]);
    expect(await positions(many, [a!])).toEqual([3]);
    const next = await lease(['train']);
    expect(idOf(next)).toBe(b);
    await end(next.token);
  });

  it('are taken for each kind of work alone', async () => {
    const dataset = async (who: Tenant): Promise<string> => {
      const id = deps.newId('dataset');
      const row = `insert into datasets (id, tenant_id, name, modality, task, format, status, created_at) select ?, tenant_id, 'waits', modality, task, format, 'validating', 1 from datasets where id = ?`;
      await deps.d1.batch([
        deps.d1.prepare(row).bind(id, who.dataset),
        deps.d1
          .prepare("insert into work (id, kind, tenant_id, status, available_at, created_at) values (?, 'validate', ?, 'queued', ?, 1)")
          .bind(id, who.tenant, deps.now()),
      ]);
      return id;
    };
    await jobs(many, 1);
    const training = await lease(['train']);
    const [first, second, other] = [await dataset(many), await dataset(many), await dataset(few)];
    const place = async (who: Tenant, id: string) => (await answer(await call(`/v1/datasets/${id}`, { key: who.key }), 200, Dataset)).queue?.position;
    // A training of the tenant does not put its datasets back; of two datasets the second comes after the other tenant's.
    expect([await place(many, first), await place(few, other), await place(many, second)]).toEqual([1, 2, 3]);
    await end(training.token);
    await deps.d1.prepare("delete from work where kind = 'validate' and status = 'queued'").run();
  });

  it('are exclusive and complete when hosts race', async () => {
    const all = [...(await jobs(many, 4)), ...(await jobs(few, 1)), ...(await jobs(third, 1))];
    const held = await Promise.all(Array.from({ length: 6 }, async (_, i) => await lease(['train'], `racer-${i}`)));
    expect(held.map(idOf).toSorted()).toEqual(all.toSorted());
    for (const { token } of held) await end(token);
  });

  it('are told for a whole page of jobs, more of them than D1 binds values', async () => {
    const { key, dataset } = many;
    const ids = await jobs(many, 100);
    const Page = listOf(AnyJob, 'AnyJobList');
    const all = (await answer(await call('/v1/training/jobs?limit=100', { key }), 200, Page)).data;
    expect(all.map((job) => [job.id, job.queue?.position])).toEqual(ids.map((id, i) => [id, i + 1]).toReversed());
    expect(all.every((job) => job.dataset === dataset)).toBe(true);
  });

  it('are found among thousands that wait, by the index', async () => {
    const counted = 'with recursive n(i) as (select 0 union all select i + 1 from n where i < 2999)';
    const row = `${counted} select 'crowd-' || i, 'train', 'crowd-' || (i % 3), 'queued', i, i from n`;
    await deps.d1.prepare(`insert into work (id, kind, tenant_id, status, available_at, created_at) ${row}`).run();
    const [mine] = await jobs(few, 1);
    const places = await queuePositions(deps.db, 'train', [mine!, 'crowd-2999', 'nobody'], deps.now());
    expect([...places].toSorted(([, a], [, b]) => a - b)).toEqual([
      [mine, 4],
      ['crowd-2999', 3_001],
    ]);
    await deps.d1.prepare("delete from work where id like 'crowd-%'").run();
    await clearQueue();
  });
});
