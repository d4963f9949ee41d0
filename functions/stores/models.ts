/** Fine-tuned models: a manifest and where its files are. */
import { and, desc, eq, isNull, lt, sql } from 'drizzle-orm';
import type { Database } from '../db/database.ts';
import { models } from '../db/schema.ts';

export type ModelRow = typeof models.$inferSelect;

/**
 * A statement that runs only if the one directly before it in the batch changed a row. One job makes one model: an earlier row of a completion that
 * came to nothing is replaced.
 */
export function upsertModelIfChanged(db: Database, row: Omit<ModelRow, 'deletedAt'>) {
  return db.run(
    sql`insert into ${models} (id, tenant_id, job_id, classifier_id, backbone, manifest, files, created_at)
        select ${row.id}, ${row.tenantId}, ${row.jobId}, ${row.classifierId}, ${row.backbone}, ${JSON.stringify(row.manifest)},
               ${JSON.stringify(row.files)}, ${row.createdAt} where changes() > 0
        on conflict (job_id) do update set id = excluded.id, manifest = excluded.manifest, files = excluded.files, created_at = excluded.created_at`,
  );
}

export async function getModel(db: Database, tenant: string, id: string): Promise<ModelRow | null> {
  const [row] = await db
    .select()
    .from(models)
    .where(and(eq(models.tenantId, tenant), eq(models.id, id), isNull(models.deletedAt)));
  return row ?? null;
}

export async function listModels(db: Database, tenant: string, page: { limit: number; after: string | null }): Promise<ModelRow[]> {
  return await db
    .select()
    .from(models)
    .where(and(eq(models.tenantId, tenant), isNull(models.deletedAt), page.after ? lt(models.id, page.after) : undefined))
    .orderBy(desc(models.id))
    .limit(page.limit + 1);
}

export async function deleteModel(db: Database, id: string, now: number): Promise<void> {
  await db
    .update(models)
    .set({ deletedAt: now })
    .where(and(eq(models.id, id), isNull(models.deletedAt)));
}
