/** The row of a classifier: what never changes about it, its name and its review rule. Examples, versions and labels are its Durable Object's. */
import { and, desc, eq, isNotNull, isNull, lt } from 'drizzle-orm';
import type { ReviewRule } from '../../shared/wire/review.ts';
import type { Database } from '../db/database.ts';
import { classifiers } from '../db/schema.ts';

export type StoredClassifier = {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly modality: 'image' | 'text' | 'vector';
  readonly backbone: string | null;
  readonly dimension: number;
  readonly task: 'single_label' | 'multi_label';
  /** null: never answers unknown. */
  readonly falseRejectRate: number | null;
  /** null: no review queue. */
  readonly review: ReviewRule | null;
  readonly createdAt: number;
};

const toClassifier = (row: typeof classifiers.$inferSelect): StoredClassifier => ({
  id: row.id,
  tenant: row.tenantId,
  name: row.name,
  modality: row.modality,
  backbone: row.backbone,
  dimension: row.dimension,
  task: row.task,
  falseRejectRate: row.falseRejectRate === null ? null : Number(row.falseRejectRate),
  review: row.review,
  createdAt: row.createdAt,
});

const own = (tenant: string, id: string) => and(eq(classifiers.tenantId, tenant), eq(classifiers.id, id), isNull(classifiers.deletedAt));
const asText = (rate: number | null) => (rate === null ? null : String(rate));

export async function insertClassifier(db: Database, classifier: StoredClassifier): Promise<void> {
  const { tenant, falseRejectRate, ...rest } = classifier;
  await db.insert(classifiers).values({ ...rest, tenantId: tenant, falseRejectRate: asText(falseRejectRate), deletedAt: null });
}

export async function findClassifier(db: Database, tenant: string, id: string): Promise<StoredClassifier | null> {
  const [row] = await db.select().from(classifiers).where(own(tenant, id));
  return row ? toClassifier(row) : null;
}

/** Newest first; one row more than `limit` says that there is a next page. */
export async function listClassifiers(db: Database, tenant: string, page: { limit: number; after: string | null }): Promise<StoredClassifier[]> {
  const rows = await db
    .select()
    .from(classifiers)
    .where(and(eq(classifiers.tenantId, tenant), isNull(classifiers.deletedAt), page.after ? lt(classifiers.id, page.after) : undefined))
    .orderBy(desc(classifiers.id))
    .limit(page.limit + 1);
  return rows.map(toClassifier);
}

/** The row after the change; null when it is gone. */
export async function updateClassifier(
  db: Database,
  tenant: string,
  id: string,
  change: { name?: string; falseRejectRate?: number | null; review?: ReviewRule | null },
): Promise<StoredClassifier | null> {
  const set = {
    ...(change.name === undefined ? {} : { name: change.name }),
    ...(change.falseRejectRate === undefined ? {} : { falseRejectRate: asText(change.falseRejectRate) }),
    ...(change.review === undefined ? {} : { review: change.review }),
  };
  const [row] = await db.update(classifiers).set(set).where(own(tenant, id)).returning();
  return row ? toClassifier(row) : null;
}

/** Whether it was this tenant's. */
export async function wasDeleted(db: Database, tenant: string, id: string): Promise<boolean> {
  return (await db.$count(classifiers, and(eq(classifiers.tenantId, tenant), eq(classifiers.id, id), isNotNull(classifiers.deletedAt)))) > 0;
}

/** False when it was gone already. */
export async function markClassifierDeleted(db: Database, tenant: string, id: string, now: number): Promise<boolean> {
  const rows = await db.update(classifiers).set({ deletedAt: now }).where(own(tenant, id)).returning({ id: classifiers.id });
  return rows.length > 0;
}
