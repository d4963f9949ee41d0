/** Usage counters by tenant and UTC day. Amounts add up; `stored_bytes` may also shrink. */
import { and, eq, gte, lte, sql, sum } from 'drizzle-orm';
import type { Database } from '../db/database.ts';
import { insertIfChanged } from '../db/insert-if-changed.ts';
import { usage } from '../db/schema.ts';

export type UsageMetric = 'predictions' | 'enrollments' | 'training_seconds' | 'stored_bytes';
export type UsageRow = { readonly day: string; readonly metric: UsageMetric; readonly amount: number };

/** The UTC day of a time in milliseconds, YYYY-MM-DD. */
export function dayOf(now: number): string {
  return new Date(now).toISOString().slice(0, 10);
}

/** A statement, for `db.batch` beside what is counted or to be awaited on its own. Amounts are rounded to whole units. */
export function addUsage(db: Database, tenant: string, metric: UsageMetric, amount: number, now: number) {
  return db
    .insert(usage)
    .values({ tenantId: tenant, day: dayOf(now), metric, amount: Math.round(amount) })
    .onConflictDoUpdate({ target: [usage.tenantId, usage.day, usage.metric], set: { amount: sql`${usage.amount} + excluded.amount` } });
}

/** Days `from` to `to`, both included, oldest first. */
export async function listUsage(db: Database, tenant: string, from: string, to: string): Promise<UsageRow[]> {
  return await db
    .select({ day: usage.day, metric: usage.metric, amount: usage.amount })
    .from(usage)
    .where(and(eq(usage.tenantId, tenant), gte(usage.day, from), lte(usage.day, to)))
    .orderBy(usage.day);
}

/** Bytes kept at the end of a day: the sum of everything added and taken away until then. */
export async function storedBytes(db: Database, tenant: string, until: string): Promise<number> {
  const [row] = await db
    .select({ bytes: sum(usage.amount) })
    .from(usage)
    .where(and(eq(usage.tenantId, tenant), eq(usage.metric, 'stored_bytes'), lte(usage.day, until)));
  return Math.max(0, Number(row?.bytes ?? 0));
}

/** `addUsage` that counts only if the statement directly before it in the batch changed a row. */
export function addUsageIfChanged(db: Database, of: { tenant: string; metric: UsageMetric; amount: number; now: number }) {
  return insertIfChanged(db, usage, { tenantId: of.tenant, day: dayOf(of.now), metric: of.metric, amount: Math.round(of.amount) }).onConflictDoUpdate(
    {
      target: [usage.tenantId, usage.day, usage.metric],
      set: { amount: sql`${usage.amount} + excluded.amount` },
    },
  );
}
