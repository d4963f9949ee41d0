/** Webhooks to a receiver outside: signatures that a stranger's library accepts, retries, and one send per claim. */
import { Webhook as Verifier } from 'standardwebhooks';
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { WEBHOOK_RETRY_SECONDS } from '../../shared/limits.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Delivery, Webhook, WebhookPayload, WebhookWithSecret } from '../../shared/wire/webhooks.ts';
import { deliver } from '../../functions/usecases/webhooks/deliver.ts';
import { fanOut } from '../../functions/usecases/webhooks/fan-out.ts';
import { insertEvent } from '../../functions/stores/events.ts';
import { rotateWebhook } from '../../functions/stores/webhooks.ts';
import { runScheduled } from '../../functions/queue/scheduled.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';
import type { Received } from '../setup/receiver.ts';
import { deps } from '../setup/training.ts';

const Deliveries = listOf(Delivery, 'WebhookDeliveryList');
/** Deliveries by hand, without the queue: the order of things is the test's. */
const silent = { ...deps, deliveries: { send: async () => undefined, sendBatch: async () => undefined } as unknown as typeof deps.deliveries };
let key = '';
let tenant = '';
let box = '';
beforeEach(async () => {
  ({ key, tenant } = await newTenant());
  box = `${inject('receiver')}/${crypto.randomUUID()}`;
});

const received = async (): Promise<Received[]> => await (await fetch(box)).json();
async function newWebhook(query = '', events: string[] = ['*']): Promise<WebhookWithSecret> {
  return await answer(await call('/v1/webhooks', { key, json: { url: `${box}${query}`, events } }), 201, WebhookWithSecret);
}
/** One event in the outbox and its deliveries, none of them sent yet. */
async function happen(type = 'dataset.ready', data: Record<string, unknown> = { id: 'ds_1' }): Promise<string[]> {
  const id = deps.newId('event');
  await insertEvent(deps.db, { id, tenant, type, data, now: Date.now() } as Parameters<typeof insertEvent>[1]);
  while ((await fanOut(silent)) > 0);
  const rows = await deps.d1.prepare('select id from deliveries where event_id = ?').bind(id).all<{ id: string }>();
  return rows.results.map((row) => row.id);
}
const deliveries = async (webhook: string) => (await answer(await call(`/v1/webhooks/${webhook}/deliveries`, { key }), 200, Deliveries)).data;
const makeDue = async (id: string) => await deps.d1.prepare('update deliveries set next_attempt_at = 1 where id = ?').bind(id).run();
const secondsUntil = (at: string | null | undefined) => (Date.parse(at ?? '') - Date.now()) / 1_000;

async function eventually<T>(read: () => Promise<T>, done: (value: T) => boolean): Promise<T> {
  for (let i = 0; ; i++) {
    const value = await read();
    if (done(value) || i >= 200) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('a delivery', () => {
  it('goes through the real queue and verifies with the standard library', async () => {
    const webhook = await newWebhook();
    expect(webhook.secret).toMatch(/^whsec_[A-Za-z0-9+/]{32}$/);
    const sent = await answer(await call(`/v1/webhooks/${webhook.id}/test`, { key, method: 'POST' }), 202, Delivery);
    const [message] = await eventually(received, (all) => all.length > 0);
    if (!message) throw new Error('nothing arrived');
    const payload = WebhookPayload.parse(new Verifier(webhook.secret).verify(message.body, message.headers));
    expect(payload.type).toBe('webhook.test');
    expect(message.headers['content-type']).toContain('application/json');
    expect(() => new Verifier(webhook.secret).verify(message.body.replace('webhook.test', 'webhook.tset'), message.headers)).toThrow();
    const [done] = await eventually(
      async () => await deliveries(webhook.id),
      (all) => all[0]?.status === 'delivered',
    );
    expect(done).toMatchObject({ id: sent.id, event: message.headers['webhook-id'], attempts: 1, last_status: 204, last_error: null });
  });

  it('goes to those who asked for it and to nobody else', async () => {
    const wanting = await newWebhook('', ['training.job.*', 'dataset.ready']);
    const other = await newWebhook('', ['classifier.*']);
    const ids = await happen('dataset.ready');
    expect(ids).toHaveLength(1);
    const mine = await deliveries(wanting.id);
    expect(mine.map((d) => d.id)).toEqual(ids);
    expect(await deliveries(other.id)).toEqual([]);
    const stranger = await newTenant();
    await problem(await call(`/v1/webhooks/${wanting.id}/deliveries`, { key: stranger.key }), 'not_found');
    await problem(await call('/v1/webhooks', { key, json: { url: box, events: ['dataset.redy'] } }), 'unprocessable');
  });

  it('is sent once by consumers that race for it', async () => {
    await newWebhook('?delay=150');
    const [id] = await happen();
    const outcomes = await Promise.all(Array.from({ length: 6 }, async () => await deliver(silent, id!)));
    expect(outcomes.toSorted()).toEqual(['delivered', ...Array.from({ length: 5 }, () => 'not_due')]);
    expect(await received()).toHaveLength(1);
  });

  it('is fanned out once by sweeps that race for it', async () => {
    const webhook = await newWebhook();
    const id = deps.newId('event');
    await insertEvent(deps.db, { id, tenant, type: 'dataset.ready', data: {}, now: Date.now() });
    await Promise.all([fanOut(silent), fanOut(silent), fanOut(silent)]);
    expect(await deliveries(webhook.id)).toHaveLength(1);
  });

  it('is found by the schedule when the queue lost its message', async () => {
    const webhook = await newWebhook();
    await happen();
    expect(await received()).toEqual([]);
    await runScheduled(deps);
    await eventually(received, (all) => all.length > 0);
    await eventually(
      async () => await deliveries(webhook.id),
      (all) => all[0]?.status === 'delivered',
    );
    expect((await deliveries(webhook.id))[0]).toMatchObject({ status: 'delivered', attempts: 1 });
  });
});

describe('a receiver in trouble', () => {
  it('is tried again by the schedule of the standard until the last attempt', async () => {
    const webhook = await newWebhook('?status=500');
    const [id] = await happen();
    for (let attempt = 1; attempt <= WEBHOOK_RETRY_SECONDS.length; attempt++) {
      expect(await deliver(silent, id!)).toBe(attempt < WEBHOOK_RETRY_SECONDS.length ? 'retry' : 'failed');
      const [seen] = await deliveries(webhook.id);
      expect(seen).toMatchObject({ attempts: attempt, last_status: 500, last_error: 'The receiver answered 500.' });
      const wait = WEBHOOK_RETRY_SECONDS[attempt];
      if (wait !== undefined) {
        expect(secondsUntil(seen?.next_attempt_at)).toBeGreaterThan(wait - 10);
        expect(secondsUntil(seen?.next_attempt_at)).toBeLessThanOrEqual(wait * 1.1);
        expect(await deliver(silent, id!)).toBe('not_due');
        await makeDue(id!);
      }
    }
    expect((await deliveries(webhook.id))[0]).toMatchObject({ status: 'failed', next_attempt_at: null });
    const sent = await received();
    expect(sent).toHaveLength(WEBHOOK_RETRY_SECONDS.length);
    // The same id and the same bytes at every attempt, so that a receiver can tell a repetition.
    expect(new Set(sent.map((m) => `${m.headers['webhook-id']} ${m.body}`)).size).toBe(1);
  });

  it('is left alone for as long as it asks', async () => {
    const webhook = await newWebhook('?status=503&retry-after=900');
    const [id] = await happen();
    expect(await deliver(silent, id!)).toBe('retry');
    const [seen] = await deliveries(webhook.id);
    expect(secondsUntil(seen?.next_attempt_at)).toBeGreaterThan(890);
    expect(secondsUntil(seen?.next_attempt_at)).toBeLessThanOrEqual(900);
  });

  it('is never called again after 410', async () => {
    const webhook = await newWebhook('?status=410');
    const [id] = await happen();
    expect(await deliver(silent, id!)).toBe('gone');
    const read = await answer(await call(`/v1/webhooks/${webhook.id}`, { key }), 200, Webhook);
    expect(read).toMatchObject({ disabled: true, disabled_reason: 'The receiver answered 410 Gone.' });
    expect(await happen()).toEqual([]);
    await problem(await call(`/v1/webhooks/${webhook.id}/test`, { key, method: 'POST' }), 'conflict');
    const back = await answer(await call(`/v1/webhooks/${webhook.id}`, { key, method: 'PATCH', json: { disabled: false } }), 200, Webhook);
    expect(back).toMatchObject({ disabled: false, disabled_reason: null });
  });

  it('is not followed elsewhere', async () => {
    const elsewhere = `${inject('receiver')}/${crypto.randomUUID()}`;
    const webhook = await newWebhook(`?status=302&location=${encodeURIComponent(elsewhere)}`);
    const [id] = await happen();
    expect(await deliver(silent, id!)).toBe('retry');
    expect((await deliveries(webhook.id))[0]).toMatchObject({ last_status: 302 });
    expect(await (await fetch(elsewhere)).json()).toEqual([]);
  });

  it('that is not there is an attempt with a reason', async () => {
    const gone = await call('/v1/webhooks', { key, json: { url: 'http://127.0.0.1:9/nobody' } });
    const webhook = await answer(gone, 201, WebhookWithSecret);
    const [id] = await happen();
    expect(await deliver(silent, id!)).toBe('retry');
    const [seen] = await deliveries(webhook.id);
    expect(seen?.last_status).toBeNull();
    expect(seen?.last_error).toBeTruthy();
  });

  it('can be sent everything again by hand', async () => {
    const webhook = await newWebhook();
    const [id] = await happen();
    expect(await deliver(silent, id!)).toBe('delivered');
    const path = `/v1/webhooks/${webhook.id}/deliveries/${id}/redeliver`;
    const again = await answer(await call(path, { key, method: 'POST' }), 202, Delivery);
    expect(again).toMatchObject({ id, attempts: 0 });
    const both = await eventually(received, (all) => all.length > 1);
    expect(both.map((m) => m.headers['webhook-id'])).toEqual([both[0]?.headers['webhook-id'], both[0]?.headers['webhook-id']]);
    await problem(await call(`/v1/webhooks/${webhook.id}/deliveries/dlv_nobody/redeliver`, { key, method: 'POST' }), 'not_found');
  });
});

describe('secrets', () => {
  it('overlap after a rotation: both verify, and the old one ends after a day', async () => {
    const webhook = await newWebhook();
    const rotated = await answer(await call(`/v1/webhooks/${webhook.id}/rotate-secret`, { key, method: 'POST' }), 200, WebhookWithSecret);
    expect(rotated.secret).not.toBe(webhook.secret);
    // A rotation that read the secret before this one would put another in its place, and what was answered here would never sign.
    const late = { sealed: 'the secret before', secretSealed: 'a third', previousSecretUntil: 1 };
    expect(await rotateWebhook(deps.db, tenant, webhook.id, late)).toBeNull();
    const [id] = await happen();
    await deliver(silent, id!);
    const [message] = await received();
    for (const secret of [webhook.secret, rotated.secret]) new Verifier(secret).verify(message!.body, message!.headers);
    await deps.d1.prepare('update webhooks set previous_secret_until = 1 where id = ?').bind(webhook.id).run();
    const [next] = await happen();
    await deliver(silent, next!);
    const later = (await received())[1]!;
    new Verifier(rotated.secret).verify(later.body, later.headers);
    expect(() => new Verifier(webhook.secret).verify(later.body, later.headers)).toThrow();
  });

  it('lie sealed in the database and are shown once', async () => {
    const webhook = await newWebhook();
    const row = await deps.d1.prepare('select * from webhooks where id = ?').bind(webhook.id).first();
    expect(JSON.stringify(row)).not.toContain(webhook.secret.slice('whsec_'.length));
    const text = await (await call(`/v1/webhooks/${webhook.id}`, { key })).text();
    expect(text).not.toContain('whsec_');
  });

  it('a body over the limit arrives shortened and still verifies', async () => {
    const webhook = await newWebhook();
    const [id] = await happen('training.job.failed', { object: 'training.job', id: 'job_1', status: 'failed', log: 'x'.repeat(30_000) });
    await deliver(silent, id!);
    const [message] = await received();
    expect(message!.body.length).toBeLessThan(20_000);
    const payload = WebhookPayload.parse(new Verifier(webhook.secret).verify(message!.body, message!.headers));
    expect(payload.data).toMatchObject({ truncated: true, id: 'job_1', status: 'failed' });
  });
});
