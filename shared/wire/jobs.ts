/** Bodies of `/v1/training/jobs`. */
import { z } from 'zod';
import { Advice } from '../advice.ts';
import { Progress, TaskResult } from '../engine.ts';
import { MethodOptions } from '../method-options.ts';
import { ArtifactName, Parity } from '../model-manifest.ts';
import { JobStatus } from '../jobs.ts';
import { EXCLUSIONS_MAX } from '../limits.ts';
import { Exclusion } from '../quality.ts';
import { idField } from './id-field.ts';
import { QueuePlace } from './queue.ts';
import { Comparison, Decision, Evaluation, Metrics, Reason } from './evaluation.ts';

export const SEED_MAX = 2 ** 31 - 1;
const METADATA_KEYS_MAX = 16;
/** An id of the catalogue. */
const Backbone = z.string().min(1).max(100).nullable().optional();

export const CreateJobRequest = z
  .strictObject({
    dataset: idField('dataset'),
    classifier: idField('classifier').nullable().optional().meta({
      description: 'Gets the model as a version, and its served one is what the model is compared with. Without it the model is only kept.',
    }),
    validation_dataset: idField('dataset').nullable().optional().meta({ description: 'Rows to judge by, in place of held-out ones of the dataset.' }),
    target_dataset: idField('dataset').nullable().optional().meta({ description: 'Rows, labelled or not, of the domain that the model will meet.' }),
    source_classifier: idField('classifier').nullable().optional().meta({
      description:
        "A classifier of single labels over the same backbone to transfer from: its enrolled examples are learnt from beside the dataset's rows, and its served version is what the model is compared with unless `classifier` serves one. With a method that adapts and no `target_dataset` its examples are the labelled source and the dataset is the target.",
    }),
    backbone: Backbone.meta({ description: "Default: the classifier's, or the one of the catalogue for the modality." }),
    exclude: z.array(Exclusion).max(EXCLUSIONS_MAX).nullable().optional().meta({
      description:
        'Rows of the dataset that are neither learnt from nor judged by: a code stands for all rows with this finding in the quality report, a number for the one `row` that has it there.',
    }),
    method: MethodOptions.optional(),
    seed: z.number().int().min(0).max(SEED_MAX).nullable().optional().meta({ description: 'Default: one that is drawn; the job shows it.' }),
    promote: z
      .enum(['if_better', 'never'])
      .default('if_better')
      .meta({ description: '`never`: the version is made, and serves only when it is activated by hand.' }),
    metadata: z
      .record(z.string().min(1).max(64), z.string().max(512))
      .refine((all) => Object.keys(all).length <= METADATA_KEYS_MAX, `at most ${METADATA_KEYS_MAX} keys`)
      .nullable()
      .optional(),
  })
  .meta({ id: 'CreateTrainingJobRequest' });
export type CreateJobRequest = z.infer<typeof CreateJobRequest>;

export const JobArtifact = z.object({ name: ArtifactName, sha256: z.string(), bytes: z.number().int() }).meta({ id: 'TrainingJobArtifact' });

export const JobResult = z
  .object({
    decision: Decision,
    reasons: z.array(Reason),
    /** All on the same held-out rows. */
    metrics: z.object({
      candidate: Metrics,
      incumbent: Metrics.nullable(),
      frozen: Metrics,
      baseline: Metrics,
      /** Null where the method did not measure it. */
      zero_shot: Metrics.nullable().default(null),
      scratch: Metrics.nullable().default(null),
      source_only: Metrics.nullable().default(null),
    }),
    held_out: Evaluation.shape.held_out,
    comparisons: z.array(Comparison),
    version: z
      .number()
      .int()
      .nullable()
      .meta({ description: "The classifier's version that this job made, active or not; null without a classifier." }),
    method: z.object({ asked: z.string(), used: z.string() }),
    hyperparameters: z.record(z.string(), z.unknown()),
    tuned_mix: z.number(),
    mix_curve: z.array(z.object({ mix: z.number(), accuracy: z.number() })),
    temperature: z.number(),
    labels: z.array(z.string()),
    train_rows: z.number().int(),
    seconds: z.number(),
    device: z.string(),
    losses: z.array(z.number()),
    network: z
      .enum(['base', 'tail', 'whole'])
      .default('base')
      .meta({ description: 'Which network serves the tuned part: none of its own, a tail over the shared trunk, or a whole one.' }),
    /** How the model's own graphs answer beside torch on the held-out rows; null where it has none. */
    parity: Parity.nullable().default(null),
    tasks: z.array(TaskResult).default([]).meta({ description: 'multi_task: each task beside the same task trained alone.' }),
    evidence: z.record(z.string(), z.unknown()).default({}).meta({ description: 'What the method wants to be known by, in its own names.' }),
    notes: z.array(z.string()),
    artifacts: z.array(JobArtifact),
  })
  .meta({ id: 'TrainingJobResult' });
export type JobResult = z.infer<typeof JobResult>;

export const JobError = z
  .object({ code: z.string(), detail: z.string(), blame: z.enum(['caller', 'graft']), retryable: z.boolean(), attempts: z.number().int() })
  .meta({ id: 'TrainingJobError' });
export type JobError = z.infer<typeof JobError>;

export const Job = z
  .object({
    object: z.literal('training.job'),
    kind: z.literal('training'),
    id: z.string(),
    status: JobStatus,
    dataset: z.string(),
    classifier: z.string().nullable(),
    validation_dataset: z.string().nullable(),
    target_dataset: z.string().nullable(),
    source_classifier: z.string().nullable(),
    exclude: z.array(Exclusion).nullable(),
    backbone: z.string(),
    method: MethodOptions,
    seed: z.number().int(),
    promote: z.enum(['if_better', 'never']),
    metadata: z.record(z.string(), z.string()).nullable(),
    model: z.string().nullable(),
    result: JobResult.nullable(),
    error: JobError.nullable(),
    progress: Progress.nullable(),
    hyperparameters: z.record(z.string(), z.unknown()),
    requested: z.enum(['pause', 'cancel']).nullable().meta({ description: 'What was asked of the host and has not happened yet.' }),
    attempts: z
      .number()
      .int()
      .meta({ description: 'How often a host has taken it, the current time included; a pause and a host that gave it back do not count.' }),
    /** While queued. */
    queue: QueuePlace.nullable(),
    created_at: z.string(),
    started_at: z.string().nullable(),
    finished_at: z.string().nullable(),
  })
  .meta({ id: 'TrainingJob' });
export type Job = z.infer<typeof Job>;

/** A job that trains nothing: the same states, events and commands; its result says what, when and how to transfer. */
export const AdviceJob = Job.extend({ kind: z.literal('advice'), result: Advice.nullable() }).meta({ id: 'AdviceJob' });
export type AdviceJob = z.infer<typeof AdviceJob>;

export const AnyJob = z.discriminatedUnion('kind', [Job, AdviceJob]).meta({ id: 'AnyJob' });
export type AnyJob = z.infer<typeof AnyJob>;

export const CreateAdviceRequest = z
  .strictObject({
    dataset: idField('dataset'),
    target_dataset: idField('dataset').nullable().optional(),
    backbone: Backbone.meta({ description: "Judged beside the backbones of the catalogue that read the dataset's modality." }),
    seed: z.number().int().min(0).max(SEED_MAX).nullable().optional(),
    metadata: CreateJobRequest.shape.metadata,
  })
  .meta({ id: 'CreateAdviceRequest' });
export type CreateAdviceRequest = z.infer<typeof CreateAdviceRequest>;

export const JobEvent = z
  .object({
    object: z.literal('training.job.event'),
    id: z.number().int().meta({ description: '1, 2, 3 … within the job: what Last-Event-ID names.' }),
    job: z.string(),
    type: z.enum(['status', 'phase', 'progress', 'choice', 'log', 'checkpoint']),
    data: z.record(z.string(), z.unknown()),
    created_at: z.string(),
  })
  .meta({ id: 'TrainingJobEvent' });
export type JobEvent = z.infer<typeof JobEvent>;

/** Which checkpoint a paused job goes on from; without `epoch` the newest. */
export const ResumeQuery = z
  .strictObject({
    epoch: z.coerce.number().int().nonnegative().optional().meta({ description: 'The `epoch` of one of its checkpoints.' }),
    attempt: z.coerce
      .number()
      .int()
      .nonnegative()
      .optional()
      .meta({ description: 'The `attempt`, where several have this epoch; otherwise the latest.' }),
  })
  .refine((query) => query.attempt === undefined || query.epoch !== undefined, { path: ['attempt'], error: 'needs an `epoch` beside it' });
export type ResumeQuery = z.infer<typeof ResumeQuery>;

export const Checkpoint = z
  .object({
    object: z.literal('training.job.checkpoint'),
    job: z.string(),
    epoch: z.number().int(),
    attempt: z.number().int(),
    sha256: z.string(),
    bytes: z.number().int(),
    created_at: z.string(),
    chosen_at: z.string().nullable().meta({ description: 'When the job was last resumed from this one by choice.' }),
  })
  .meta({ id: 'TrainingJobCheckpoint' });
export type Checkpoint = z.infer<typeof Checkpoint>;
