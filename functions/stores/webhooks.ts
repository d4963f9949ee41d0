/** Webhook endpoints and their deliveries. A delivery is sent only by the consumer whose claim statement changed its row. */
import { and, asc, desc, eq, inArray, isNull, lt, lte, or, sql } from 'drizzle-orm';
import { firstId } from '../../shared/ids.ts';
import type { Database } from '../db/database.ts';
import { deliveries, webhooks } from '../db/schema.ts';

export type WebhookRow = typeof webhooks.$inferSelect;
export type DeliveryRow = typeof deliveries.$inferSelect;

export async function insertWebhook(db: Database, row: typeof webhooks.$inferInsert): Promise<void> {
  await db.insert(webhooks).values(row);
}

export async function getWebhook(db: Database, tenant: string, id: string): Promise<WebhookRow | null> {
  const [row] = await db
    .select()
    .from(webhooks)
    .where(and(eq(webhooks.tenantId, tenant), eq(webhooks.id, id), isNull(webhooks.deletedAt)));
  return row ?? null;
}

export async function listWebhooks(db: Database, tenant: string, page: { limit: number; after: string | null }): Promise<WebhookRow[]> {
  return await db
    .select()
    .from(webhooks)
    .where(and(eq(webhooks.tenantId, tenant), isNull(webhooks.deletedAt), page.after ? lt(webhooks.id, page.after) : undefined))
    .orderBy(desc(webhooks.id))
    .limit(page.limit + 1);
}

export async function countWebhooks(db: Database, tenant: string): Promise<number> {
  return await db.$count(webhooks, and(eq(webhooks.tenantId, tenant), isNull(webhooks.deletedAt)));
}

/** Endpoints of a tenant that take deliveries now. */
export async function activeWebhooks(db: Database, tenant: string): Promise<WebhookRow[]> {
  return await db
    .select()
    .from(webhooks)
    .where(and(eq(webhooks.tenantId, tenant), isNull(webhooks.deletedAt), isNull(webhooks.disabledAt)));
}

export async function updateWebhook(
  db: Database,
  tenant: string,
  id: string,
  change: Partial<Omit<WebhookRow, 'id' | 'tenantId' | 'createdAt'>>,
): Promise<WebhookRow | null> {
  if (Object.keys(change).length === 0) return await getWebhook(db, tenant, id);
  const [row] = await db
    .update(webhooks)
    .set(change)
    .where(and(eq(webhooks.tenantId, tenant), eq(webhooks.id, id), isNull(webhooks.deletedAt)))
    .returning();
  return row ?? null;
}

/** Puts a new secret before the one that `sealed` is. Null when it is that no more: of two rotations at once one secret would never sign. */
export async function rotateWebhook(
  db: Database,
  tenant: string,
  id: string,
  change: Pick<WebhookRow, 'secretSealed' | 'previousSecretUntil'> & { sealed: string },
): Promise<WebhookRow | null> {
  const { sealed, ...rest } = change;
  const [row] = await db
    .update(webhooks)
    .set({ ...rest, previousSecretSealed: sealed })
    .where(and(eq(webhooks.tenantId, tenant), eq(webhooks.id, id), eq(webhooks.secretSealed, sealed), isNull(webhooks.deletedAt)))
    .returning();
  return row ?? null;
}

/**
 * A statement that answers the new ones, however many: D1 counts statements. The pair of endpoint and event is unique: fanning out twice delivers once.
 */
export function insertDeliveries(
  db: Database,
  of: { tenant: string; event: string; now: number },
  rows: readonly { readonly id: string; readonly webhook: string }[],
) {
  // In the order of the table's columns.
  const each = sql`select json_extract(value, '$.id'), ${of.tenant}, json_extract(value, '$.webhook'), ${of.event}, 'pending', 0, ${of.now}, null, null,
    null, ${of.now}, null from json_each(${JSON.stringify(rows)}) where true`;
  return db
    .insert(deliveries)
    .select(each)
    .onConflictDoNothing({ target: [deliveries.webhookId, deliveries.eventId] })
    .returning({ id: deliveries.id });
}

export async function getDelivery(db: Database, tenant: string, webhook: string, id: string): Promise<DeliveryRow | null> {
  const [row] = await db
    .select()
    .from(deliveries)
    .where(and(eq(deliveries.tenantId, tenant), eq(deliveries.webhookId, webhook), eq(deliveries.id, id)));
  return row ?? null;
}

export async function listDeliveries(db: Database, webhook: string, page: { limit: number; after: string | null }): Promise<DeliveryRow[]> {
  return await db
    .select()
    .from(deliveries)
    .where(and(eq(deliveries.webhookId, webhook), page.after ? lt(deliveries.id, page.after) : undefined))
    .orderBy(desc(deliveries.id))
    .limit(page.limit + 1);
}

const due = (now: number) =>
  or(
    and(eq(deliveries.status, 'pending'), lte(deliveries.nextAttemptAt, now)),
    // A consumer that died between its claim and its result: the next one takes over.
    and(eq(deliveries.status, 'sending'), lt(deliveries.claimedUntil, now)),
  );

/** Takes a due delivery for one consumer. Null when it is not due, being sent by another, or over. */
export async function claimDelivery(db: Database, id: string, now: number, claimedUntil: number): Promise<DeliveryRow | null> {
  const [row] = await db
    .update(deliveries)
    .set({ status: 'sending', attempts: sql`${deliveries.attempts} + 1`, claimedUntil })
    .where(and(eq(deliveries.id, id), due(now)))
    .returning();
  return row ?? null;
}

/** Records how an attempt ended. The number of attempts is its fence: a consumer that was overtaken changes nothing. */
export async function endAttempt(
  db: Database,
  claimed: Pick<DeliveryRow, 'id' | 'attempts'>,
  end: Pick<DeliveryRow, 'status' | 'nextAttemptAt' | 'lastStatus' | 'lastError' | 'deliveredAt'>,
): Promise<boolean> {
  const rows = await db
    .update(deliveries)
    .set({ ...end, claimedUntil: null })
    .where(and(eq(deliveries.id, claimed.id), eq(deliveries.status, 'sending'), eq(deliveries.attempts, claimed.attempts)))
    .returning({ id: deliveries.id });
  return rows.length > 0;
}

/** Starts the schedule again. Null while it is being sent. */
export async function restartDelivery(db: Database, id: string, now: number): Promise<DeliveryRow | null> {
  const [row] = await db
    .update(deliveries)
    .set({ status: 'pending', attempts: 0, nextAttemptAt: now, deliveredAt: null })
    .where(and(eq(deliveries.id, id), inArray(deliveries.status, ['pending', 'delivered', 'failed'])))
    .returning();
  return row ?? null;
}

/** Due deliveries, oldest first: what the sweep announces again because no message may be left for them. */
export async function dueDeliveries(db: Database, now: number, limit: number): Promise<{ id: string }[]> {
  return await db.select({ id: deliveries.id }).from(deliveries).where(due(now)).orderBy(asc(deliveries.nextAttemptAt)).limit(limit);
}

/** For the sweep: deliveries that are over, made before then, at most `limit`. Ids begin with the time. */
export async function forgetOldDeliveries(db: Database, before: number, limit: number): Promise<void> {
  const old = db
    .select({ id: deliveries.id })
    .from(deliveries)
    .where(and(lt(deliveries.id, firstId('delivery', before)), inArray(deliveries.status, ['delivered', 'failed'])))
    .orderBy(asc(deliveries.id))
    .limit(limit);
  await db.delete(deliveries).where(inArray(deliveries.id, old));
}
