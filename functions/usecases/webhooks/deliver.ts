/** One attempt of one delivery: claim, send, record. Two consumers with the same message never send at the same time, because only one claim wins. */
import { WEBHOOK_TIMEOUT_MS } from '../../../shared/limits.ts';
import { sendWebhook } from '../../delivery/send-webhook.ts';
import { afterSend, type SendResult } from '../../domain/webhook-retry.ts';
import type { Deps } from '../../deps.ts';
import { getEvent } from '../../stores/events.ts';
import { claimDelivery, endAttempt, getWebhook, updateWebhook, type DeliveryRow } from '../../stores/webhooks.ts';
import { announceDeliveries, DELAY_MAX_SECONDS } from './announce-deliveries.ts';
import { webhookBody } from './present-webhook.ts';
import { signingSecrets } from './webhook-secrets.ts';

type Needs = Pick<Deps, 'db' | 'settings' | 'deliveries' | 'now'>;

/** A claim outlives the longest send by far, and a dead consumer's delivery waits no longer than this. */
const CLAIM_MS = 4 * WEBHOOK_TIMEOUT_MS;

export type DeliverOutcome = 'not_due' | 'delivered' | 'retry' | 'failed' | 'gone' | 'overtaken';

export async function deliver(deps: Needs, id: string): Promise<DeliverOutcome> {
  const now = deps.now();
  const claimed = await claimDelivery(deps.db, id, now, now + CLAIM_MS);
  if (!claimed) return 'not_due';
  const webhook = await getWebhook(deps.db, claimed.tenantId, claimed.webhookId);
  const event = await getEvent(deps.db, claimed.tenantId, claimed.eventId);
  if (!webhook || webhook.disabledAt !== null || !event) {
    const lastError = webhook ? (event ? 'The webhook is disabled.' : 'The event is gone.') : 'The webhook was deleted.';
    return await record(deps, claimed, 'failed', { ...plain, status: 'failed', lastError });
  }
  const result = await sendWebhook({
    url: webhook.url,
    // The event's id: a receiver that hears of it twice recognises it.
    id: event.id,
    timestamp: Math.floor(now / 1_000),
    body: webhookBody(event),
    secrets: await signingSecrets(deps, webhook, now),
    allowLoopback: deps.settings.allowLoopbackWebhooks,
  });
  return await conclude(deps, claimed, result);
}

const plain = { nextAttemptAt: null, lastStatus: null, lastError: null, deliveredAt: null } as const;

async function conclude(deps: Needs, claimed: DeliveryRow, result: SendResult): Promise<DeliverOutcome> {
  const now = deps.now();
  const after = afterSend(result, claimed.attempts, now, Math.random());
  const seen =
    result.kind === 'answered'
      ? { lastStatus: result.status, lastError: after.kind === 'delivered' ? null : `The receiver answered ${result.status}.` }
      : { lastStatus: null, lastError: result.detail };
  switch (after.kind) {
    case 'delivered':
      return await record(deps, claimed, 'delivered', { ...plain, ...seen, status: 'delivered', deliveredAt: now });
    case 'retry': {
      const outcome = await record(deps, claimed, 'retry', { ...plain, ...seen, status: 'pending', nextAttemptAt: after.at });
      const delay = Math.ceil((after.at - now) / 1_000);
      // Longer waits than a queue can hold end with the sweep that finds the delivery due.
      if (outcome === 'retry' && delay <= DELAY_MAX_SECONDS) await announceDeliveries(deps, [claimed.id], delay);
      return outcome;
    }
    case 'gone':
      await updateWebhook(deps.db, claimed.tenantId, claimed.webhookId, { disabledAt: now, disabledReason: 'The receiver answered 410 Gone.' });
      return await record(deps, claimed, 'gone', { ...plain, ...seen, status: 'failed' });
    case 'failed':
      return await record(deps, claimed, 'failed', { ...plain, ...seen, status: 'failed' });
  }
}

async function record(deps: Needs, claimed: DeliveryRow, outcome: DeliverOutcome, end: Parameters<typeof endAttempt>[2]): Promise<DeliverOutcome> {
  return (await endAttempt(deps.db, claimed, end)) ? outcome : 'overtaken';
}
