/** Fine-tuned models: a manifest and where its files are. */
import { and, desc, eq, isNull, lt } from 'drizzle-orm';
import type { Database } from '../db/database.ts';
import { models } from '../db/schema.ts';

export type ModelRow = typeof models.$inferSelect;

/** A statement. One job makes one model: an earlier row of a completion that came to nothing is replaced. */
export function upsertModel(db: Database, row: typeof models.$inferInsert) {
  const { id, manifest, files, createdAt } = row;
  return db.insert(models).values(row).onConflictDoUpdate({ target: models.jobId, set: { id, manifest, files, createdAt } });
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
