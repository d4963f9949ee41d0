/** Jobs, their log and their checkpoints, read for their tenant. */
import { Progress } from '../../../shared/engine.ts';
import { GraftError } from '../../../shared/errors.ts';
import type { JobStatus } from '../../../shared/jobs.ts';
import type { AnyJob, Checkpoint, JobEvent } from '../../../shared/wire/jobs.ts';
import type { Deps } from '../../deps.ts';
import { listCheckpoints as readCheckpoints } from '../../stores/checkpoints.ts';
import { getJob as readJob, listJobEvents, listJobs as readJobs, lookAtJob as readLook, type JobRow } from '../../stores/jobs.ts';
import { presentAnyJob, presentCheckpoint, presentJobEvent, presentJobs } from './present-job.ts';

export async function needJob(deps: Pick<Deps, 'db'>, tenant: string, id: string): Promise<JobRow> {
  const row = await readJob(deps.db, tenant, id);
  if (!row) throw noJob(id);
  return row;
}

const noJob = (id: string): GraftError => new GraftError('not_found', `There is no training job "${id}".`);

export async function getJob(deps: Pick<Deps, 'db' | 'now'>, input: { tenant: string; id: string }): Promise<AnyJob> {
  return await presentAnyJob(deps, await needJob(deps, input.tenant, input.id));
}

/** Jobs of one page, newest first, one more than the page holds when there is another page. */
export async function listJobs(
  deps: Pick<Deps, 'db' | 'now'>,
  input: { tenant: string; page: { limit: number; after: string | null }; status: JobStatus | null },
): Promise<AnyJob[]> {
  const rows = await readJobs(deps.db, input.tenant, { ...input.page, status: input.status });
  return await presentJobs(deps, rows);
}

/** The log after a sequence number, in order, and one more when there is more than `limit`. */
export async function jobEventsAfter(
  deps: Pick<Deps, 'db'>,
  input: { tenant: string; id: string; after: number; limit: number },
): Promise<JobEvent[]> {
  const job = await needJob(deps, input.tenant, input.id);
  return (await listJobEvents(deps.db, job.id, input.after, input.limit)).map(presentJobEvent);
}

export type JobLook = { readonly status: JobStatus; readonly progress: Progress | null; readonly events: JobEvent[] };

/** Status, progress and log after a sequence number, all of one moment, as cheap as can be: for those who look again and again. */
export async function lookAtJob(deps: Pick<Deps, 'db'>, input: { tenant: string; id: string; after: number; limit: number }): Promise<JobLook> {
  const seen = await readLook(deps.db, input);
  if (!seen) throw noJob(input.id);
  const { status, progress, events } = seen;
  return { status, progress: progress === null ? null : Progress.parse(progress), events: events.map(presentJobEvent) };
}

export async function listCheckpoints(deps: Pick<Deps, 'db'>, input: { tenant: string; id: string }): Promise<Checkpoint[]> {
  const job = await needJob(deps, input.tenant, input.id);
  return (await readCheckpoints(deps.db, job.id)).map(presentCheckpoint);
}
