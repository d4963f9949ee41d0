/** Deliveries within what the platform allows an invocation, and for as long as they are kept. */
import { drizzle } from 'drizzle-orm/d1';
import { beforeEach, expect, inject, it, vi } from 'vitest';
import { EVENTS_KEPT_DAYS } from '../../shared/limits.ts';
import { makeId } from '../../shared/ids.ts';
import * as schema from '../../functions/db/schema.ts';
import type { QueueMessage } from '../../functions/domain/queue-message.ts';
import { newSecret } from '../../functions/delivery/standard-webhooks.ts';
import { consumeQueue } from '../../functions/queue/consume.ts';
import { sweep } from '../../functions/usecases/sweep/sweep.ts';
import { sealSecret } from '../../functions/usecases/webhooks/webhook-secrets.ts';
import { newTenant } from '../setup/harness.ts';
import { deps } from '../setup/training.ts';

const DAY_MS = 24 * 3_600_000;
const queued: QueueMessage[] = [];
const queue = {
  send: async (body: QueueMessage) => void queued.push(body),
  sendBatch: async (all: { body: QueueMessage }[]) => void queued.push(...all.map(({ body }) => body)),
} as unknown as typeof deps.deliveries;
const silent = { ...deps, deliveries: queue };
let tenant = '';
beforeEach(async () => {
  ({ tenant } = await newTenant());
  queued.length = 0;
});

const random = () => crypto.getRandomValues(new Uint8Array(16));
const batchOf = (bodies: readonly QueueMessage[]) =>
  ({ messages: bodies.map((body) => ({ body, ack: () => undefined, retry: () => undefined })) }) as unknown as MessageBatch<QueueMessage>;

async function endpoints(count: number, url = `${inject('receiver')}/${crypto.randomUUID()}`): Promise<string[]> {
  const ids = Array.from({ length: count }, () => deps.newId('webhook'));
  const sealed = async (id: string) => await sealSecret(deps, id, newSecret());
  for (const id of ids)
    await deps.db.insert(schema.webhooks).values({ id, tenantId: tenant, url, events: ['*'], secretSealed: await sealed(id), createdAt: 1 });
  return ids;
}

/** @param age days */
async function event(age: number, fannedOut: 0 | 1): Promise<string> {
  const createdAt = Date.now() - age * DAY_MS;
  const id = makeId('event', createdAt, random());
  await deps.db.insert(schema.events).values({ id, tenantId: tenant, type: 'dataset.ready', data: {}, fannedOut, createdAt });
  return id;
}

async function delivery(age: number, of: string, status: 'pending' | 'delivered' | 'failed', webhookId = 'wh_x'): Promise<string> {
  const createdAt = Date.now() - age * DAY_MS;
  const id = makeId('delivery', createdAt, random());
  const row = { id, tenantId: tenant, webhookId, eventId: of, status, nextAttemptAt: Date.now() + DAY_MS, createdAt };
  await deps.db.insert(schema.deliveries).values(row);
  return id;
}

const mine = async (table: 'events' | 'deliveries') =>
  (await deps.d1.prepare(`select id from ${table} where tenant_id = ?`).bind(tenant).all<{ id: string }>()).results.map(({ id }) => id);

it('a full outbox is emptied in fewer statements than D1 answers one invocation, the rest in the next', async () => {
  const [events, wanting] = [260, 4];
  await endpoints(wanting);
  const ids = JSON.stringify(Array.from({ length: events }, () => deps.newId('event')));
  const fill = `insert into events (id, tenant_id, type, data, created_at) select value, ?, 'dataset.ready', '{}', 1 from json_each(?)`;
  await deps.d1.prepare(fill).bind(tenant, ids).run();
  let statements = 0;
  const counted = new Proxy(deps.d1, {
    get: (d1, name: keyof D1Database) => {
      if (name === 'prepare') statements++;
      const member: unknown = d1[name];
      return typeof member === 'function' ? member.bind(d1) : member;
    },
  });
  await consumeQueue(batchOf([{ kind: 'sweep' }]), { ...silent, d1: counted, db: drizzle(counted, { schema }) });
  expect(statements).toBeGreaterThan(events);
  expect(statements).toBeLessThan(1_000);
  expect(queued.filter(({ kind }) => kind === 'sweep')).toHaveLength(1);
  await consumeQueue(batchOf([{ kind: 'sweep' }]), silent);
  expect(queued.filter(({ kind }) => kind === 'deliver')).toHaveLength(events * wanting);
  expect(await mine('deliveries')).toHaveLength(events * wanting);
});

it('no delivery of a batch waits for a connection while its time-out runs', async () => {
  const [webhook] = await endpoints(1, `${inject('receiver')}/${crypto.randomUUID()}?delay=100`);
  const ids = await Promise.all(Array.from({ length: 10 }, async () => await delivery(0, await event(0, 1), 'pending', webhook)));
  await deps.d1.prepare('update deliveries set next_attempt_at = 1 where webhook_id = ?').bind(webhook).run();
  const send = globalThis.fetch;
  let [now, most, all] = [0, 0, 0];
  const watched = vi.spyOn(globalThis, 'fetch').mockImplementation(async (...of) => {
    all += 1;
    most = Math.max(most, ++now);
    return await send(...of).finally(() => now--);
  });
  await consumeQueue(batchOf(ids.map((id) => ({ kind: 'deliver', delivery: id }))), silent);
  watched.mockRestore();
  expect(all).toBe(10);
  expect(most).toBeLessThan(6);
});

it('events and deliveries that are over go after their time, and not what is still to be done', async () => {
  const old = EVENTS_KEPT_DAYS + 1;
  await endpoints(1);
  const done = await event(old, 1);
  const open = await event(old, 1);
  const [untold, young] = [await event(old, 0), await event(EVENTS_KEPT_DAYS - 1, 1)];
  await delivery(old, done, 'delivered', 'wh_1');
  await delivery(old, done, 'failed', 'wh_2');
  const [waiting, kept] = [await delivery(old, open, 'pending'), await delivery(EVENTS_KEPT_DAYS - 1, young, 'failed')];
  await sweep(silent);
  expect(await mine('deliveries')).toEqual(expect.arrayContaining([waiting, kept]));
  // That of the event which nobody had been told of.
  expect(await mine('deliveries')).toHaveLength(3);
  expect((await mine('events')).toSorted()).toEqual([open, untold, young].toSorted());
});
