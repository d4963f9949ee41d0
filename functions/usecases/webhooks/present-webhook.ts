/** Rows of endpoints, deliveries and events as callers see them. Secrets never pass through here. */
import type { EventType } from '../../../shared/jobs.ts';
import { WEBHOOK_MAX_BYTES } from '../../../shared/limits.ts';
import type { Delivery, Event, Webhook } from '../../../shared/wire/webhooks.ts';
import type { EventRow } from '../../stores/events.ts';
import type { DeliveryRow, WebhookRow } from '../../stores/webhooks.ts';
import { iso, isoOrNull } from '../datasets/present-dataset.ts';

export function presentWebhook(row: WebhookRow, now: number): Webhook {
  const overlaps = row.previousSecretUntil !== null && row.previousSecretUntil > now;
  return {
    object: 'webhook',
    id: row.id,
    url: row.url,
    description: row.description,
    events: row.events,
    disabled: row.disabledAt !== null,
    disabled_reason: row.disabledReason,
    previous_secret_until: overlaps ? isoOrNull(row.previousSecretUntil) : null,
    created_at: iso(row.createdAt),
  };
}

export function presentDelivery(row: DeliveryRow): Delivery {
  return {
    object: 'webhook.delivery',
    id: row.id,
    webhook: row.webhookId,
    event: row.eventId,
    status: row.status,
    attempts: row.attempts,
    next_attempt_at: row.status === 'pending' ? isoOrNull(row.nextAttemptAt) : null,
    last_status: row.lastStatus,
    last_error: row.lastError,
    created_at: iso(row.createdAt),
    delivered_at: isoOrNull(row.deliveredAt),
  };
}

export function presentEvent(row: EventRow): Event {
  return { object: 'event', id: row.id, type: row.type as EventType, data: row.data as Record<string, unknown>, created_at: iso(row.createdAt) };
}

/** The body that a receiver gets, the same bytes at every attempt. Over the limit only the ids stay: the object is one GET away. */
export function webhookBody(row: EventRow): string {
  const timestamp = iso(row.createdAt);
  const whole = JSON.stringify({ type: row.type, timestamp, data: row.data });
  if (new TextEncoder().encode(whole).length < WEBHOOK_MAX_BYTES) return whole;
  const short: Record<string, unknown> = { truncated: true, event: row.id };
  for (const key of ['object', 'id', 'status', 'classifier', 'version', 'job', 'model']) {
    const value = (row.data as Record<string, unknown>)[key];
    if (typeof value === 'string' ? value.length < 200 : typeof value === 'number') short[key] = value;
  }
  return JSON.stringify({ type: row.type, timestamp, data: short });
}
