/** The events table: what happened, per tenant, and at the same time the outbox of webhook deliveries (`fanned_out` = 0). */
import { and, asc, desc, eq, inArray, lt, notExists, sql } from 'drizzle-orm';
import { firstId } from '../../shared/ids.ts';
import type { EventType } from '../../shared/jobs.ts';
import type { Database } from '../db/database.ts';
import { insertIfChanged } from '../db/insert-if-changed.ts';
import { deliveries, events } from '../db/schema.ts';

export type EventRow = typeof events.$inferSelect;
export type NewEvent = { readonly id: string; readonly tenant: string; readonly type: EventType; readonly data: unknown; readonly now: number };

/** A statement for `db.batch`: the event is written together with the change that it tells of. */
export function insertEvent(db: Database, event: NewEvent) {
  return db
    .insert(events)
    .values({ id: event.id, tenantId: event.tenant, type: event.type, data: event.data, fannedOut: 0, createdAt: event.now })
    .onConflictDoNothing();
}

/**
 * A statement for `db.batch` that writes the event only if the statement directly before it in the batch changed a row: a transition that lost
 * its race tells nobody anything. Chains: an event that was not written has changed no row either.
 */
export function insertEventIfChanged(db: Database, event: NewEvent) {
  const { id, tenant: tenantId, type, data, now: createdAt } = event;
  return insertIfChanged(db, events, { id, tenantId, type, data, createdAt });
}

/** Newest first; `after` is the last id of the page before. One row more than `limit` says that there is a next page. */
export async function listEvents(db: Database, tenant: string, page: { limit: number; after: string | null }): Promise<EventRow[]> {
  return await db
    .select()
    .from(events)
    .where(and(eq(events.tenantId, tenant), page.after ? lt(events.id, page.after) : undefined))
    .orderBy(desc(events.id))
    .limit(page.limit + 1);
}

export async function getEvent(db: Database, tenant: string, id: string): Promise<EventRow | null> {
  const [row] = await db
    .select()
    .from(events)
    .where(and(eq(events.tenantId, tenant), eq(events.id, id)));
  return row ?? null;
}

/** Events whose deliveries were not made yet, oldest first. */
export async function pendingEvents(db: Database, limit: number): Promise<EventRow[]> {
  return await db.select().from(events).where(eq(events.fannedOut, 0)).orderBy(asc(events.id)).limit(limit);
}

/** A statement for the batch that also inserts the deliveries. */
export function markFannedOut(db: Database, id: string) {
  return db.update(events).set({ fannedOut: 1 }).where(eq(events.id, id));
}

/** For the sweep: events that happened before then and that no delivery needs, at most `limit`. Ids begin with the time. */
export async function forgetOldEvents(db: Database, before: number, limit: number): Promise<void> {
  const needed = db
    .select({ one: sql`1` })
    .from(deliveries)
    .where(eq(deliveries.eventId, events.id));
  const old = db
    .select({ id: events.id })
    .from(events)
    .where(and(lt(events.id, firstId('event', before)), eq(events.fannedOut, 1), notExists(needed)))
    .orderBy(asc(events.id))
    .limit(limit);
  await db.delete(events).where(inArray(events.id, old));
}
