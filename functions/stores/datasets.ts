/** Datasets and their uploads: rows in, rows out, one transition a function. */
import { and, desc, eq, exists, inArray, isNotNull, isNull, lt, notExists, or, sql } from 'drizzle-orm';
import type { Database } from '../db/database.ts';
import { datasets, jobs, uploads, work } from '../db/schema.ts';

export type DatasetRow = typeof datasets.$inferSelect;
export type UploadRow = typeof uploads.$inferSelect;

export function insertDataset(db: Database, row: typeof datasets.$inferInsert) {
  return db.insert(datasets).values(row);
}

export async function getDataset(db: Database, tenant: string, id: string): Promise<DatasetRow | null> {
  const [row] = await db
    .select()
    .from(datasets)
    .where(and(eq(datasets.tenantId, tenant), eq(datasets.id, id), isNull(datasets.deletedAt)));
  return row ?? null;
}

/** One that was deleted, so that a deletion which was cut off can be carried on. */
export async function deletedDataset(db: Database, tenant: string, id: string): Promise<DatasetRow | null> {
  const [row] = await db
    .select()
    .from(datasets)
    .where(and(eq(datasets.tenantId, tenant), eq(datasets.id, id), isNotNull(datasets.deletedAt)));
  return row ?? null;
}

/** Newest first; one row more than `limit` says that there is a next page. */
export async function listDatasets(db: Database, tenant: string, page: { limit: number; after: string | null }): Promise<DatasetRow[]> {
  return await db
    .select()
    .from(datasets)
    .where(and(eq(datasets.tenantId, tenant), isNull(datasets.deletedAt), page.after ? lt(datasets.id, page.after) : undefined))
    .orderBy(desc(datasets.id))
    .limit(page.limit + 1);
}

/** A statement: the first upload of a waiting dataset that the statement directly before completed sends it to validation. */
export function startValidationIfChanged(db: Database, id: string, upload: string) {
  return db
    .update(datasets)
    .set({ status: 'validating', uploadId: upload })
    .where(and(sql`changes() > 0`, eq(datasets.id, id), eq(datasets.status, 'awaiting_upload'), isNull(datasets.deletedAt)));
}

/** A statement: a dataset whose inspection was given up by no fault of its upload (its work is held) goes to validation once more. */
export function restartValidation(db: Database, id: string, upload: string) {
  const heldWork = db
    .select({ one: sql`1` })
    .from(work)
    .where(and(eq(work.id, id), eq(work.status, 'held')));
  return db
    .update(datasets)
    .set({ status: 'validating', errors: null, errorCount: 0 })
    .where(and(eq(datasets.id, id), eq(datasets.uploadId, upload), eq(datasets.status, 'invalid'), isNull(datasets.deletedAt), exists(heldWork)));
}

/** A statement: what the validating host found, once, and only if the statement directly before (the end of its lease) changed a row. */
export function finishValidationIfChanged(
  db: Database,
  id: string,
  found: {
    status: 'ready' | 'invalid';
    manifest: unknown;
    quality?: unknown;
    fence: number | null;
    errors: unknown;
    errorCount: number;
    now: number;
  },
) {
  return db
    .update(datasets)
    .set({
      status: found.status,
      manifest: found.manifest,
      quality: found.quality ?? null,
      frozenFence: found.fence,
      errors: found.errors,
      errorCount: found.errorCount,
      readyAt: found.status === 'ready' ? found.now : null,
    })
    .where(and(sql`changes() > 0`, eq(datasets.id, id), eq(datasets.status, 'validating'), isNull(datasets.deletedAt)));
}

/** Marks it deleted unless a job that is not finished needs it. True when this call did it. */
export async function deleteDataset(db: Database, tenant: string, id: string, now: number): Promise<boolean> {
  const active = db
    .select({ one: sql`1` })
    .from(jobs)
    .where(
      and(
        or(eq(jobs.datasetId, id), eq(jobs.validationDatasetId, id), eq(jobs.targetDatasetId, id)),
        inArray(jobs.status, ['queued', 'validating', 'running', 'paused']),
      ),
    );
  const rows = await db
    .update(datasets)
    .set({ deletedAt: now })
    .where(and(eq(datasets.tenantId, tenant), eq(datasets.id, id), isNull(datasets.deletedAt), notExists(active)))
    .returning({ id: datasets.id });
  return rows.length > 0;
}

export async function insertUpload(db: Database, row: typeof uploads.$inferInsert): Promise<void> {
  await db.insert(uploads).values(row);
}

export async function getUpload(db: Database, tenant: string, dataset: string, id: string): Promise<UploadRow | null> {
  const [row] = await db
    .select()
    .from(uploads)
    .where(and(eq(uploads.tenantId, tenant), eq(uploads.datasetId, dataset), eq(uploads.id, id)));
  return row ?? null;
}

export async function listUploads(db: Database, dataset: string): Promise<UploadRow[]> {
  return await db.select().from(uploads).where(eq(uploads.datasetId, dataset));
}

/** A statement: an open upload ends one way or the other, once. */
export function closeUpload(db: Database, id: string, status: 'completed' | 'aborted') {
  return db
    .update(uploads)
    .set({ status })
    .where(and(eq(uploads.id, id), eq(uploads.status, 'open')));
}

/** Open uploads whose URLs have run out: nobody can send their parts any more. */
export async function staleUploads(db: Database, before: number, limit: number): Promise<UploadRow[]> {
  return await db
    .select()
    .from(uploads)
    .where(and(eq(uploads.status, 'open'), lt(uploads.expiresAt, before)))
    .limit(limit);
}
