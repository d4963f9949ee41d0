/** Usage counters by tenant and UTC day. Amounts add up; `stored_bytes` may also shrink. */
import { and, eq, gte, lte, sql, sum } from 'drizzle-orm';
import type { Database } from '../db/database.ts';
import { insertIfChanged } from '../db/insert-if-changed.ts';
import { checkpoints, datasets, jobs, models, uploads, usage } from '../db/schema.ts';

export type UsageMetric = 'predictions' | 'enrollments' | 'training_seconds' | 'stored_bytes';
export type UsageRow = { readonly day: string; readonly metric: UsageMetric; readonly amount: number };

const DAY_MS = 86_400_000;

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

/** Bytes kept at the end of a day: originals by the sum of what was added and taken away until then, the files of datasets, jobs and models by their rows. */
export async function storedBytes(db: Database, tenant: string, until: string): Promise<number> {
  const [row] = await db
    .select({ bytes: sum(usage.amount) })
    .from(usage)
    .where(and(eq(usage.tenantId, tenant), eq(usage.metric, 'stored_bytes'), lte(usage.day, until)));
  return Math.max(0, Number(row?.bytes ?? 0)) + (await fileBytes(db, tenant, Date.parse(until) + DAY_MS));
}

async function fileBytes(db: Database, tenant: string, before: number): Promise<number> {
  const kept = (table: typeof datasets | typeof models) => sql`(${table.deletedAt} is null or ${table.deletedAt} >= ${before})`;
  const bytes = sql`coalesce(sum(json_extract(file.value, '$.bytes')), 0) as bytes`;
  const rows = await db.all<{ bytes: number }>(sql`
    select coalesce(sum(${uploads.bytes}), 0) as bytes from ${uploads} join ${datasets} on ${datasets.id} = ${uploads.datasetId}
      where ${uploads.tenantId} = ${tenant} and ${uploads.status} = 'completed' and ${uploads.createdAt} < ${before} and ${kept(datasets)}
    union all select ${bytes} from ${datasets}, json_each(${datasets.manifest}, '$.files') as file
      where ${datasets.tenantId} = ${tenant} and ${datasets.readyAt} < ${before} and ${kept(datasets)}
    union all select ${bytes} from ${models}, json_each(${models.manifest}, '$.files') as file
      where ${models.tenantId} = ${tenant} and ${models.createdAt} < ${before} and ${kept(models)}
    union all select coalesce(sum(${checkpoints.bytes}), 0) as bytes from ${checkpoints} join ${jobs} on ${jobs.id} = ${checkpoints.jobId}
      where ${jobs.tenantId} = ${tenant} and ${checkpoints.createdAt} < ${before}`);
  return rows.reduce((total, row) => total + row.bytes, 0);
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
