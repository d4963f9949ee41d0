/** Empties the outbox: one delivery row for every endpoint that wants an event, in the same batch that marks the event. Safe to run twice at once. */
import type { EventType } from '../../../shared/jobs.ts';
import { wants } from '../../domain/event-patterns.ts';
import type { Deps } from '../../deps.ts';
import { markFannedOut, pendingEvents } from '../../stores/events.ts';
import { activeWebhooks, deliveriesOfEvent, insertDelivery, type WebhookRow } from '../../stores/webhooks.ts';
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
    const now = deps.now();
    await deps.db.batch([
      markFannedOut(deps.db, event.id),
      ...wanting.map((webhook) =>
        insertDelivery(deps.db, { id: deps.newId('delivery'), tenant: event.tenantId, webhook: webhook.id, event: event.id, now }),
      ),
    ]);
    if (wanting.length > 0) made.push(...(await deliveriesOfEvent(deps.db, event.id)).map((row) => row.id));
  }
  await announceDeliveries(deps, made);
  return events.length;
}
