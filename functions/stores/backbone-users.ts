/** Who stands on a backbone, over all tenants. */
import { and, count, eq, isNull } from 'drizzle-orm';
import type { Database } from '../db/database.ts';
import { classifiers, jobs, models } from '../db/schema.ts';

export async function backboneUsers(db: Database, id: string): Promise<{ classifiers: number; models: number; jobs: number }> {
  const [[a], [b], [c]] = await db.batch([
    db
      .select({ n: count() })
      .from(classifiers)
      .where(and(eq(classifiers.backbone, id), isNull(classifiers.deletedAt))),
    db
      .select({ n: count() })
      .from(models)
      .where(and(eq(models.backbone, id), isNull(models.deletedAt))),
    db
      .select({ n: count() })
      .from(jobs)
      .where(and(eq(jobs.backbone, id), isNull(jobs.finishedAt))),
  ]);
  return { classifiers: a?.n ?? 0, models: b?.n ?? 0, jobs: c?.n ?? 0 };
}
