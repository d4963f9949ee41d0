/** Rows of jobs, their log and their checkpoints as callers see them. */
import { z } from 'zod';
import { Progress } from '../../../shared/engine.ts';
import { MethodOptions } from '../../../shared/method-options.ts';
import { Advice } from '../../../shared/advice.ts';
import { Job, JobError, JobEvent, JobResult, type AdviceJob, type AnyJob, type Checkpoint } from '../../../shared/wire/jobs.ts';
import type { QueuePlace } from '../../../shared/wire/queue.ts';
import type { Deps } from '../../deps.ts';
import type { CheckpointRow } from '../../stores/checkpoints.ts';
import type { JobEventRow, JobRow } from '../../stores/jobs.ts';
import { getWorks, type WorkRow } from '../../stores/work.ts';
import { iso, isoOrNull } from '../datasets/present-dataset.ts';
import { queuePlaces } from './queue-place.ts';

type Needs = Pick<Deps, 'db' | 'now'>;
const Metadata = z.record(z.string(), z.string()).nullable();

/** Reads the rows of their work too, all at once, so that a queued job says where it stands and whether any host is there. */
export async function presentJobs(deps: Needs, rows: readonly JobRow[]): Promise<AnyJob[]> {
  const beside = await workOf(deps, rows);
  return rows.map((row) => (row.kind === 'advice' ? adviceJob(row, beside) : trainingJob(row, beside)));
}

export async function presentAnyJob(deps: Needs, row: JobRow): Promise<AnyJob> {
  return row.kind === 'advice' ? await presentAdviceJob(deps, row) : await presentJob(deps, row);
}

export async function presentAdviceJob(deps: Needs, row: JobRow): Promise<AdviceJob> {
  return adviceJob(row, await workOf(deps, [row]));
}

export async function presentJob(deps: Needs, row: JobRow): Promise<Job> {
  return trainingJob(row, await workOf(deps, [row]));
}

/** By the id of a job. */
type Beside = { readonly works: ReadonlyMap<string, WorkRow>; readonly places: ReadonlyMap<string, QueuePlace> };

async function workOf(deps: Needs, rows: readonly JobRow[]): Promise<Beside> {
  const works = await getWorks(
    deps.db,
    rows.map((row) => row.id),
  );
  return { works, places: await queuePlaces(deps, works.values()) };
}

function adviceJob(row: JobRow, beside: Beside): AdviceJob {
  return { ...common(row, beside), kind: 'advice', result: row.result === null ? null : Advice.parse(row.result), hyperparameters: {} };
}

function trainingJob(row: JobRow, beside: Beside): Job {
  const result = row.result === null ? null : JobResult.parse(row.result);
  const { type: _, ...asked } = MethodOptions.parse(row.method);
  return { ...common(row, beside), kind: 'training', result, hyperparameters: result?.hyperparameters ?? asked };
}

function common(row: JobRow, { works, places }: Beside): Omit<Job, 'kind' | 'result' | 'hyperparameters'> {
  const work = works.get(row.id);
  const method = MethodOptions.parse(row.method);
  return {
    object: 'training.job',
    id: row.id,
    status: row.status,
    dataset: row.datasetId,
    classifier: row.classifierId,
    validation_dataset: row.validationDatasetId,
    target_dataset: row.targetDatasetId,
    source_classifier: row.sourceClassifierId,
    exclude: Job.shape.exclude.parse(row.exclude),
    backbone: row.backbone,
    method,
    seed: row.seed,
    promote: row.promote,
    metadata: Metadata.parse(row.metadata),
    model: row.modelId,
    error: row.error === null ? null : JobError.parse(row.error),
    progress: row.progress === null ? null : Progress.parse(row.progress),
    requested: work?.status === 'leased' && work.command !== 'continue' ? work.command : null,
    attempts: work?.attempts ?? 0,
    queue: row.status === 'queued' ? (places.get(row.id) ?? null) : null,
    created_at: iso(row.createdAt),
    started_at: isoOrNull(row.startedAt),
    finished_at: isoOrNull(row.finishedAt),
  };
}

export function presentJobEvent(row: JobEventRow): JobEvent {
  return JobEvent.parse({
    object: 'training.job.event',
    id: row.sequence,
    job: row.jobId,
    type: row.type,
    data: row.data,
    created_at: iso(row.createdAt),
  });
}

export function presentCheckpoint(row: CheckpointRow): Checkpoint {
  return {
    object: 'training.job.checkpoint',
    job: row.jobId,
    epoch: row.epoch,
    attempt: row.fence,
    sha256: row.sha256,
    bytes: row.bytes,
    created_at: iso(row.createdAt),
    chosen_at: isoOrNull(row.chosenAt),
  };
}
