/** Endpoints: make, read, change, delete, rotate the secret, send a test. */
import { GraftError } from '../../../shared/errors.ts';
import type { CreateWebhookRequest, Delivery, UpdateWebhookRequest, Webhook, WebhookWithSecret } from '../../../shared/wire/webhooks.ts';
import { newSecret } from '../../delivery/standard-webhooks.ts';
import { uselessPatterns } from '../../domain/event-patterns.ts';
import { missing } from '../../domain/missing.ts';
import { webhookUrlFault } from '../../domain/webhook-url.ts';
import type { Deps } from '../../deps.ts';
import { insertEvent, markFannedOut } from '../../stores/events.ts';
import * as store from '../../stores/webhooks.ts';
import { announceDeliveries } from './announce-deliveries.ts';
import { presentDelivery, presentWebhook } from './present-webhook.ts';
import { sealSecret } from './webhook-secrets.ts';

type Needs = Pick<Deps, 'db' | 'settings' | 'deliveries' | 'newId' | 'now'>;

const WEBHOOKS_MAX = 50;
/** Both secrets sign this long after a rotation, so that receivers change over without losing one message. */
const OVERLAP_MS = 24 * 3_600_000;

function checkUrl(deps: Needs, url: string): void {
  const fault = webhookUrlFault(url, { allowLoopback: deps.settings.allowLoopbackWebhooks });
  if (fault) throw new GraftError('unprocessable', `The webhook URL ${fault}.`, { param: 'url' });
}

function checkPatterns(patterns: readonly string[]): void {
  const useless = uselessPatterns(patterns);
  if (useless.length > 0)
    throw new GraftError('unprocessable', `No event is called ${useless.map((pattern) => `"${pattern}"`).join(', ')}.`, { param: 'events' });
}

export async function createWebhook(deps: Needs, input: { tenant: string; request: CreateWebhookRequest }): Promise<WebhookWithSecret> {
  const { tenant, request } = input;
  checkUrl(deps, request.url);
  checkPatterns(request.events);
  if ((await store.countWebhooks(deps.db, tenant)) >= WEBHOOKS_MAX)
    throw new GraftError('unprocessable', `A tenant may have at most ${WEBHOOKS_MAX} webhooks.`);
  const id = deps.newId('webhook');
  const secret = newSecret();
  const row: store.WebhookRow = {
    id,
    tenantId: tenant,
    url: request.url,
    description: request.description ?? null,
    events: request.events,
    secretSealed: await sealSecret(deps, id, secret),
    previousSecretSealed: null,
    previousSecretUntil: null,
    disabledAt: null,
    disabledReason: null,
    createdAt: deps.now(),
    deletedAt: null,
  };
  await store.insertWebhook(deps.db, row);
  return { ...presentWebhook(row, deps.now()), secret };
}

export async function needWebhook(deps: Pick<Deps, 'db'>, tenant: string, id: string): Promise<store.WebhookRow> {
  const row = await store.getWebhook(deps.db, tenant, id);
  if (!row) throw missing('webhook', id);
  return row;
}

export async function getWebhook(deps: Needs, input: { tenant: string; id: string }): Promise<Webhook> {
  return presentWebhook(await needWebhook(deps, input.tenant, input.id), deps.now());
}

/** One more than the page holds when there is another page. */
export async function listWebhooks(deps: Needs, input: { tenant: string; page: { limit: number; after: string | null } }): Promise<Webhook[]> {
  return (await store.listWebhooks(deps.db, input.tenant, input.page)).map((row) => presentWebhook(row, deps.now()));
}

export async function updateWebhook(deps: Needs, input: { tenant: string; id: string; request: UpdateWebhookRequest }): Promise<Webhook> {
  const { url, events, description, disabled } = input.request;
  await needWebhook(deps, input.tenant, input.id);
  if (url !== undefined) checkUrl(deps, url);
  if (events !== undefined) checkPatterns(events);
  const row = await store.updateWebhook(deps.db, input.tenant, input.id, {
    ...(url === undefined ? {} : { url }),
    ...(events === undefined ? {} : { events }),
    ...(description === undefined ? {} : { description }),
    ...(disabled === undefined ? {} : { disabledAt: disabled ? deps.now() : null, disabledReason: disabled ? 'Disabled by its owner.' : null }),
  });
  if (!row) throw missing('webhook', input.id);
  return presentWebhook(row, deps.now());
}

export async function deleteWebhook(deps: Needs, input: { tenant: string; id: string }): Promise<void> {
  const row = await store.updateWebhook(deps.db, input.tenant, input.id, { deletedAt: deps.now() });
  if (!row) throw missing('webhook', input.id);
}

export async function rotateSecret(deps: Needs, input: { tenant: string; id: string }): Promise<WebhookWithSecret> {
  const before = await needWebhook(deps, input.tenant, input.id);
  const secret = newSecret();
  const now = deps.now();
  const row = await store.rotateWebhook(deps.db, input.tenant, input.id, {
    sealed: before.secretSealed,
    secretSealed: await sealSecret(deps, before.id, secret),
    previousSecretUntil: now + OVERLAP_MS,
  });
  if (!row) throw new GraftError('conflict', 'The secret was rotated by another call, or the webhook deleted, just now.');
  return { ...presentWebhook(row, now), secret };
}

/** Sends a `webhook.test` event to this endpoint only, whatever its patterns. */
export async function testWebhook(deps: Needs, input: { tenant: string; id: string }): Promise<Delivery> {
  const webhook = await needWebhook(deps, input.tenant, input.id);
  if (webhook.disabledAt !== null) throw new GraftError('conflict', 'The webhook is disabled. Enable it first.');
  const now = deps.now();
  const event = { id: deps.newId('event'), tenant: input.tenant, type: 'webhook.test' as const, data: { object: 'webhook', id: webhook.id }, now };
  const delivery = deps.newId('delivery');
  await deps.db.batch([
    insertEvent(deps.db, event),
    // Not for the outbox: other endpoints with the pattern `*` did not ask for this test.
    markFannedOut(deps.db, event.id),
    store.insertDeliveries(deps.db, { tenant: input.tenant, event: event.id, now }, [{ id: delivery, webhook: webhook.id }]),
  ]);
  await announceDeliveries(deps, [delivery]);
  const row = await store.getDelivery(deps.db, input.tenant, webhook.id, delivery);
  if (!row) throw missing('delivery', delivery);
  return presentDelivery(row);
}

export async function listDeliveries(
  deps: Needs,
  input: { tenant: string; id: string; page: { limit: number; after: string | null } },
): Promise<Delivery[]> {
  const webhook = await needWebhook(deps, input.tenant, input.id);
  return (await store.listDeliveries(deps.db, webhook.id, input.page)).map(presentDelivery);
}

/** Starts the schedule of a delivery again, also of one that was delivered. */
export async function redeliver(deps: Needs, input: { tenant: string; id: string; delivery: string }): Promise<Delivery> {
  const webhook = await needWebhook(deps, input.tenant, input.id);
  if (!(await store.getDelivery(deps.db, input.tenant, webhook.id, input.delivery))) throw missing('delivery', input.delivery);
  if (webhook.disabledAt !== null) throw new GraftError('conflict', 'The webhook is disabled. Enable it first.');
  const row = await store.restartDelivery(deps.db, input.delivery, deps.now());
  if (!row) throw new GraftError('conflict', 'This delivery is being sent right now.');
  await announceDeliveries(deps, [row.id]);
  return presentDelivery(row);
}
