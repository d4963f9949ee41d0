/** Work that is over, and what its attempts left in object storage: files of hosts that lost their lease, and inputs. */
import { and, eq, isNull, lt } from 'drizzle-orm';
import { HOST_UPLOAD_TTL_SECONDS } from '../../shared/limits.ts';
import type { Database } from '../db/database.ts';
import { checkpoints, datasets, models, work } from '../db/schema.ts';

/** Beyond the last signature of a host, and an hour for what is on its way. */
const LATEST_MS = (HOST_UPLOAD_TTL_SECONDS + 3_600) * 1_000;

export const tidyFrom = (now: number): number => now + LATEST_MS;

/** Ended work whose leftovers are due, longest first. */
export async function untidyWork(db: Database, now: number, limit: number) {
  return await db.select().from(work).where(lt(work.tidyAt, now)).orderBy(work.tidyAt).limit(limit);
}

export async function setTidy(db: Database, id: string): Promise<void> {
  await db.update(work).set({ tidyAt: null }).where(eq(work.id, id));
}

/** Keys of a job's files that a row names: its model's, and its checkpoints'. */
export async function namedByJob(db: Database, job: string): Promise<Set<string>> {
  const [made, points] = await db.batch([
    db
      .select({ files: models.files })
      .from(models)
      .where(and(eq(models.jobId, job), isNull(models.deletedAt))),
    db.select({ key: checkpoints.objectKey }).from(checkpoints).where(eq(checkpoints.jobId, job)),
  ]);
  return new Set([...made.flatMap(({ files }) => Object.values(files)), ...points.map(({ key }) => key)]);
}

/** The lease whose frozen files are the dataset; null when there are none, or no dataset. */
export async function frozenFenceOf(db: Database, tenant: string, dataset: string): Promise<number | null> {
  const [row] = await db
    .select({ fence: datasets.frozenFence })
    .from(datasets)
    .where(and(eq(datasets.tenantId, tenant), eq(datasets.id, dataset), isNull(datasets.deletedAt)));
  return row?.fence ?? null;
}
