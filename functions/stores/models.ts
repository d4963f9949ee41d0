/** Fine-tuned models: a manifest and where its files are. */
import { and, desc, eq, isNotNull, isNull, lt, sql } from 'drizzle-orm';
import type { Database } from '../db/database.ts';
import { insertIfChanged } from '../db/insert-if-changed.ts';
import { models } from '../db/schema.ts';

export type ModelRow = typeof models.$inferSelect;

/**
 * A statement that runs only if the one directly before it in the batch changed a row. One job makes one model: an earlier row of a completion that
 * came to nothing is replaced.
 */
export function upsertModelIfChanged(db: Database, row: Omit<ModelRow, 'deletedAt'>) {
  const fresh = { id: sql`excluded.id`, manifest: sql`excluded.manifest`, files: sql`excluded.files`, createdAt: sql`excluded.created_at` };
  return insertIfChanged(db, models, row).onConflictDoUpdate({ target: models.jobId, set: fresh });
}

export async function getModel(db: Database, tenant: string, id: string): Promise<ModelRow | null> {
  const [row] = await db
    .select()
    .from(models)
    .where(and(eq(models.tenantId, tenant), eq(models.id, id), isNull(models.deletedAt)));
  return row ?? null;
}

/** One that was deleted, so that a deletion which was cut off can be carried on. */
export async function deletedModel(db: Database, tenant: string, id: string): Promise<ModelRow | null> {
  const [row] = await db
    .select()
    .from(models)
    .where(and(eq(models.tenantId, tenant), eq(models.id, id), isNotNull(models.deletedAt)));
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
