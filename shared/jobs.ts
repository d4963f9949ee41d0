/** States of a training job and of a dataset, and the only moves between them. Worker, host and clients share this table. */
import { z } from 'zod';

export const JobStatus = z.enum(['queued', 'validating', 'running', 'paused', 'succeeded', 'failed', 'cancelled']).meta({ id: 'JobStatus' });
export type JobStatus = z.infer<typeof JobStatus>;

export const JOB_MOVES: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  queued: ['validating', 'running', 'paused', 'cancelled', 'failed'],
  validating: ['running', 'queued', 'paused', 'failed', 'cancelled'],
  running: ['queued', 'paused', 'succeeded', 'failed', 'cancelled'],
  paused: ['queued', 'cancelled'],
  succeeded: [],
  failed: [],
  cancelled: [],
};

export const DatasetStatus = z.enum(['awaiting_upload', 'validating', 'ready', 'invalid']).meta({ id: 'DatasetStatus' });
export type DatasetStatus = z.infer<typeof DatasetStatus>;

export const MethodType = z
  .enum(['auto', 'linear_probe', 'fine_tune', 'contrastive', 'domain_adaptation', 'domain_confusion', 'multi_task', 'zero_shot', 'from_scratch'])
  .meta({ id: 'MethodType' });
export type MethodType = z.infer<typeof MethodType>;

/** Job kinds that a host can lease: `validate` freezes a dataset, `train` runs the engine. */
export const WorkKind = z.enum(['validate', 'train']);
export type WorkKind = z.infer<typeof WorkKind>;

export const EVENT_TYPES = [
  'training.job.queued',
  'training.job.running',
  'training.job.paused',
  'training.job.succeeded',
  'training.job.failed',
  'training.job.cancelled',
  'dataset.ready',
  'dataset.invalid',
  'classifier.version.activated',
  'classifier.version.refused',
  'classifier.drift_detected',
  'webhook.test',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];
