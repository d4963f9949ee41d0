/** Resume points of training jobs: which objects hold them, and which of them nothing can go on from any more. */
import { and, desc, eq, inArray, lt, sql } from 'drizzle-orm';
import type { Database } from '../db/database.ts';
import { insertIfChanged } from '../db/insert-if-changed.ts';
import { checkpoints, jobs } from '../db/schema.ts';

export type CheckpointRow = typeof checkpoints.$inferSelect;

/**
 * A statement that runs only if the one directly before it in the batch changed a row (the lease of the host that made it). A later checkpoint of the
 * same lease and epoch takes the place of the earlier one.
 */
export function saveCheckpointIfChanged(db: Database, row: CheckpointRow) {
  const { objectKey, sha256, bytes, createdAt, chosenAt } = row;
  return insertIfChanged(db, checkpoints, row).onConflictDoUpdate({
    target: [checkpoints.jobId, checkpoints.fence, checkpoints.epoch],
    set: { objectKey, sha256, bytes, createdAt, chosenAt },
  });
}

/** A statement: the one of a lease and epoch, before another takes its place. */
export function checkpointOf(db: Database, { jobId, fence, epoch }: Pick<CheckpointRow, 'jobId' | 'fence' | 'epoch'>) {
  return db
    .select({ objectKey: checkpoints.objectKey })
    .from(checkpoints)
    .where(and(eq(checkpoints.jobId, jobId), eq(checkpoints.fence, fence), eq(checkpoints.epoch, epoch)));
}

/** The one that a job goes on from first: the newest, unless its owner has chosen one since that was made. */
export async function listCheckpoints(db: Database, job: string): Promise<CheckpointRow[]> {
  return await db
    .select()
    .from(checkpoints)
    .where(eq(checkpoints.jobId, job))
    .orderBy(desc(sql`coalesce(${checkpoints.chosenAt}, ${checkpoints.createdAt})`), desc(checkpoints.fence), desc(checkpoints.epoch));
}

export async function chooseCheckpoint(db: Database, { jobId, fence, epoch }: CheckpointRow, now: number): Promise<void> {
  const chosen = and(eq(checkpoints.jobId, jobId), eq(checkpoints.fence, fence), eq(checkpoints.epoch, epoch));
  await db.update(checkpoints).set({ chosenAt: now }).where(chosen);
}

/** Those of a job that have at least `kept` newer ones. */
export async function supersededCheckpoints(db: Database, job: string, kept: number): Promise<CheckpointRow[]> {
  return (await listCheckpoints(db, job)).slice(kept);
}

/** Of jobs that ended before `endedBefore`: an ended job goes on from nothing. */
export async function uselessCheckpoints(db: Database, endedBefore: number, limit: number): Promise<CheckpointRow[]> {
  const rows = await db
    .select({ checkpoint: checkpoints })
    .from(checkpoints)
    .innerJoin(jobs, eq(jobs.id, checkpoints.jobId))
    .where(and(inArray(jobs.status, ['succeeded', 'failed', 'cancelled']), lt(jobs.finishedAt, endedBefore)))
    .limit(limit);
  return rows.map((row) => row.checkpoint);
}

export async function forgetCheckpoint(db: Database, { jobId, fence, epoch }: CheckpointRow): Promise<void> {
  await db.delete(checkpoints).where(and(eq(checkpoints.jobId, jobId), eq(checkpoints.fence, fence), eq(checkpoints.epoch, epoch)));
}
