/** Empties the outbox: one delivery row for every endpoint that wants an event, in the same batch that marks the event. Safe to run twice at once. */
import type { EventType } from '../../../shared/jobs.ts';
import { wants } from '../../domain/event-patterns.ts';
import type { Deps } from '../../deps.ts';
import { markFannedOut, pendingEvents } from '../../stores/events.ts';
import { activeWebhooks, insertDeliveries, type WebhookRow } from '../../stores/webhooks.ts';
import { announceDeliveries } from './announce-deliveries.ts';

const BATCH = 50;

/** Answers how many events it handled. */
export async function fanOut(deps: Pick<Deps, 'db' | 'deliveries' | 'newId' | 'now'>): Promise<number> {
  const endpoints = new Map<string, WebhookRow[]>();
  const events = await pendingEvents(deps.db, BATCH);
  const made: string[] = [];
  for (const event of events) {
    let all = endpoints.get(event.tenantId);
    if (!all) endpoints.set(event.tenantId, (all = await activeWebhooks(deps.db, event.tenantId)));
    // An endpoint hears only of what happened after it was made.
    const wanting = all.filter((webhook) => webhook.createdAt <= event.createdAt && wants(webhook.events, event.type as EventType));
    const rows = wanting.map((webhook) => ({ id: deps.newId('delivery'), webhook: webhook.id }));
    const of = { tenant: event.tenantId, event: event.id, now: deps.now() };
    const [, fresh] = await deps.db.batch([markFannedOut(deps.db, event.id), insertDeliveries(deps.db, of, rows)]);
    made.push(...fresh.map((row) => row.id));
  }
  await announceDeliveries(deps, made);
  return events.length;
}
