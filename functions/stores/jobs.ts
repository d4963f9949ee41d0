/** Training jobs and their event log. A move is one conditional statement with the machine's own sources in its `where`. */
import { and, asc, desc, eq, gt, inArray, isNull, lt, notExists, sql, type SQL } from 'drizzle-orm';
import { alias } from 'drizzle-orm/sqlite-core';
import type { JobStatus } from '../../shared/jobs.ts';
import type { Database } from '../db/database.ts';
import { insertIfChanged } from '../db/insert-if-changed.ts';
import { classifiers, datasets, jobEvents, jobs, work } from '../db/schema.ts';
import { sourcesOf } from '../domain/job-machine.ts';

export type JobRow = typeof jobs.$inferSelect;
export type JobEventRow = typeof jobEvents.$inferSelect;

export function insertJob(db: Database, row: typeof jobs.$inferInsert) {
  return db.insert(jobs).values(row);
}

export async function getJob(db: Database, tenant: string, id: string): Promise<JobRow | null> {
  const [row] = await db
    .select()
    .from(jobs)
    .where(and(eq(jobs.tenantId, tenant), eq(jobs.id, id)));
  return row ?? null;
}

export async function listJobs(
  db: Database,
  tenant: string,
  page: { limit: number; after: string | null; status: JobStatus | null },
): Promise<JobRow[]> {
  return await db
    .select()
    .from(jobs)
    .where(and(eq(jobs.tenantId, tenant), page.after ? lt(jobs.id, page.after) : undefined, page.status ? eq(jobs.status, page.status) : undefined))
    .orderBy(desc(jobs.id))
    .limit(page.limit + 1);
}

/** A statement that moves a job from where it was seen, and from nowhere else: a host may have taken it since. */
export function moveJob(db: Database, id: string, from: JobStatus, to: JobStatus) {
  return db
    .update(jobs)
    .set({ status: to })
    .where(and(eq(jobs.id, id), eq(jobs.status, from)));
}

/**
 * The same inside a batch whose statement directly before changed a row (the lease that allows this move), from wherever the machine allows it. `from`
 * narrows the sources.
 */
export function moveJobIfChanged(
  db: Database,
  id: string,
  to: JobStatus,
  more: Partial<Pick<JobRow, 'startedAt' | 'finishedAt' | 'result' | 'error' | 'modelId' | 'progress'>> = {},
  from: readonly JobStatus[] = sourcesOf(to),
) {
  const sources = sourcesOf(to).filter((status) => from.includes(status));
  return db
    .update(jobs)
    .set({ status: to, ...more })
    .where(and(sql`changes() > 0`, eq(jobs.id, id), inArray(jobs.status, sources)));
}

/** A statement: cancels unless it is over, or its completion is being carried out already. */
export function cancelJob(db: Database, tenant: string, id: string, now: number) {
  const finishing = db
    .select({ one: sql`1` })
    .from(work)
    .where(and(eq(work.id, id), sql`${work.pending} is not null`));
  return db
    .update(jobs)
    .set({ status: 'cancelled', finishedAt: now })
    .where(and(eq(jobs.tenantId, tenant), eq(jobs.id, id), inArray(jobs.status, sourcesOf('cancelled')), notExists(finishing)));
}

export async function setProgress(db: Database, id: string, progress: unknown): Promise<void> {
  await db.update(jobs).set({ progress }).where(eq(jobs.id, id));
}

type NewJobEvent = { readonly job: string; readonly type: string; readonly data: unknown; readonly now: number };
/** The place of the next event in a job's log. */
export const nextEvent = <Id extends string | SQL>(job: Id) => ({
  jobId: job,
  sequence: sql`(select coalesce(max(sequence), 0) + 1 from job_events where job_id = ${job})`,
});
const eventRow = (event: NewJobEvent) => ({
  ...nextEvent(event.job),
  type: event.type,
  data: event.data,
  createdAt: event.now,
});

/** A statement that appends to the job's log if the statement directly before it in the batch changed a row. */
export function appendJobEventIfChanged(db: Database, event: NewJobEvent) {
  return insertIfChanged(db, jobEvents, eventRow(event));
}

/** In order, after a sequence number; one row more than `limit` says that there is more. */
export async function listJobEvents(db: Database, job: string, after: number, limit: number): Promise<JobEventRow[]> {
  return await eventsAfter(db, job, after, limit);
}

function eventsAfter(db: Database, job: string, after: number, limit: number) {
  return db
    .select()
    .from(jobEvents)
    .where(and(eq(jobEvents.jobId, job), gt(jobEvents.sequence, after)))
    .orderBy(asc(jobEvents.sequence))
    .limit(limit + 1);
}

/**
 * What somebody who watches a job wants to know again and again: one batch, so one call, of two statements that each read by a key. Events and status
 * are of the same moment; one event more than `limit` says that there are more. Null when there is no such job.
 */
export async function lookAtJob(db: Database, of: { tenant: string; id: string; after: number; limit: number }) {
  const [[row], events] = await db.batch([
    db
      .select({ status: jobs.status, progress: jobs.progress })
      .from(jobs)
      .where(and(eq(jobs.tenantId, of.tenant), eq(jobs.id, of.id))),
    eventsAfter(db, of.id, of.after, of.limit),
  ]);
  return row ? { ...row, events } : null;
}

/**
 * Finished advice of this tenant on datasets with these digests (of a dataset's frozen files, so of the same rows whichever dataset holds them), newest
 * first.
 */
export async function findAdvice(db: Database, tenant: string, digests: { dataset: string; target: string | null }, limit: number) {
  const target = alias(datasets, 'target');
  const digestOf = (table: typeof datasets | typeof target) => sql<string>`json_extract(${table.manifest}, '$.digest')`;
  return await db
    .select({ id: jobs.id, result: jobs.result })
    .from(jobs)
    .innerJoin(datasets, eq(datasets.id, jobs.datasetId))
    .leftJoin(target, eq(target.id, jobs.targetDatasetId))
    .where(
      and(
        eq(jobs.tenantId, tenant),
        eq(jobs.kind, 'advice'),
        eq(jobs.status, 'succeeded'),
        eq(digestOf(datasets), digests.dataset),
        digests.target === null ? isNull(jobs.targetDatasetId) : eq(digestOf(target), digests.target),
      ),
    )
    .orderBy(desc(jobs.finishedAt))
    .limit(limit);
}

/** What training needs to know about a classifier; null when it is not this tenant's or was deleted. */
export async function getTrainable(db: Database, tenant: string, id: string) {
  const [row] = await db
    .select({ id: classifiers.id, modality: classifiers.modality, backbone: classifiers.backbone, task: classifiers.task })
    .from(classifiers)
    .where(and(eq(classifiers.tenantId, tenant), eq(classifiers.id, id), isNull(classifiers.deletedAt)));
  return row ?? null;
}
