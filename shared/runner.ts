/** `/runner/v1`: what a trainer host and the Worker say to each other. Both sides parse both directions. A stale token is answered 409 `stale_lease`. */
import { z } from 'zod';
import { BackboneManifest, Task } from './catalogue.ts';
import { DatasetManifest } from './dataset.ts';
import { Advice } from './advice.ts';
import { Choice, EngineResult, Progress } from './engine.ts';
import { MethodOptions } from './method-options.ts';
import { EVENT_MESSAGE_MAX_CHARS, FAIL_DETAIL_MAX_CHARS, LEASE_TTL_SECONDS } from './limits.ts';
import { ArtifactName } from './model-manifest.ts';
import { Exclusion, InspectionSummary } from './quality.ts';

/** A presigned GET. */
export const Download = z.object({ url: z.string(), bytes: z.number().int().nullable(), sha256: z.string().nullable() });
export type Download = z.infer<typeof Download>;
/** A presigned PUT: every header must be sent as given; length and SHA-256 are signed, so other bytes are refused by the store. */
export const UploadTarget = z.object({ url: z.string(), headers: z.record(z.string(), z.string()), key: z.string() });
export type UploadTarget = z.infer<typeof UploadTarget>;
/**
 * A file that goes up in parts of `part_bytes` (the last one may be smaller): `upload` is the store's id of it, and each part is asked for by `part` when
 * its turn comes. `abort` is a presigned DELETE that gives the upload up, so a host whose lease is gone can still take back what it began.
 */
export const PartsTarget = z.object({ upload: z.string(), part_bytes: z.number().int().positive(), abort: z.string() });
export type PartsTarget = z.infer<typeof PartsTarget>;

export const LeaseRequest = z.object({
  host: z.string().min(1).max(200),
  capacity: z.object({ kinds: z.array(z.enum(['validate', 'train'])), device: z.enum(['cpu', 'cuda']) }),
  wait_seconds: z.number().min(0).max(25),
  /** The host's own choice of the lease's token: asked again with it because an answer was lost, it gets the lease that it was given. */
  token: z
    .string()
    .regex(/^lease_[0-9a-f]{64}$/)
    .optional(),
});
export type LeaseRequest = z.infer<typeof LeaseRequest>;

export const WorkBackbone = z.object({ manifest: BackboneManifest, files: z.record(z.string(), Download) });
export type WorkBackbone = z.infer<typeof WorkBackbone>;

/** An example of a classifier: its `label`, or all its `labels` where the classifier is multi-label. */
const WorkExample = z.object({
  id: z.string(),
  label: z.string().nullable(),
  labels: z.array(z.string()).nullable().default(null),
  content_type: z.string(),
  sha256: z.string(),
  download: Download,
});
export type WorkExample = z.infer<typeof WorkExample>;

export const ValidateWork = z.object({
  kind: z.literal('validate'),
  dataset: z.string(),
  name: z.string(),
  modality: z.enum(['image', 'text']),
  task: Task.default('single_label'),
  format: z.enum(['imagefolder', 'jsonl', 'csv', 'classifier']),
  columns: z.record(z.string(), z.string()).nullable(),
  split_seed: z.number().int(),
  archive: Download.extend({ filename: z.string() }).nullable(),
  /** Format `classifier`: originals of a classifier's examples instead of an archive. */
  examples: z.array(WorkExample.omit({ sha256: true })).nullable(),
  /** How many more examples it has from datasets that it was trained on; their originals are there. */
  examples_of_datasets: z.number().int().nonnegative().default(0),
  vocabulary: Download.nullable(),
  /** What embeds the rows for the quality report; null where no backbone is published. */
  backbone: WorkBackbone.nullable().default(null),
});
export type ValidateWork = z.infer<typeof ValidateWork>;

const WorkDataset = z.object({
  id: z.string(),
  manifest: DatasetManifest,
  files: z.record(z.string(), Download),
  /** Of a dataset made from a classifier: which examples are still there. A row (its `file`) of any other was deleted since, and is not used. */
  examples_left: z.array(z.string()).nullable().default(null),
});

export const TrainWork = z.object({
  kind: z.literal('train'),
  /** `advise` ends with `CompleteRequest` of kind `advice` and has no artifacts. */
  action: z.enum(['train', 'advise']).default('train'),
  job: z.string(),
  seed: z.number().int(),
  method: MethodOptions,
  dataset: WorkDataset,
  validation: WorkDataset.nullable().default(null),
  target: WorkDataset.nullable().default(null),
  /** Codes of `quality.jsonl` whose rows are left out, and numbers of such rows. */
  exclude: z.array(Exclusion).default([]),
  backbone: WorkBackbone,
  /** advise: every backbone of the modality. */
  backbones: z.array(WorkBackbone).default([]),
  /** zero_shot and label names: the text backbone, and what each label of the dataset is called (its name or description). */
  label_texts: z
    .object({ backbone: WorkBackbone, texts: z.array(z.string()) })
    .nullable()
    .default(null),
  /** Examples of the classifier with a stored original; rows with the sha256 of a held-out row are left out by the host. */
  enrolled: z.array(WorkExample),
  /** Of the classifier that is transferred from; `incumbent` is its version when the job's own classifier serves none. */
  source: z
    .object({ classifier: z.string(), examples: z.array(WorkExample) })
    .nullable()
    .default(null),
  incumbent: z
    .object({
      version: z.number().int(),
      head: Download,
      tail: Download.nullable(),
      tail_data: Download.nullable(),
      /** Of a version that runs on a whole network of its own. */
      trunk: Download.nullable().default(null),
      trunk_data: Download.nullable().default(null),
    })
    .nullable(),
  /**
   * Rows of datasets that the incumbent's classifier was trained on and keeps as examples, with the list of the rows' digests: those that judge here are
   * taken from it as well. A dataset that was deleted is not among them.
   */
  taught: z
    .array(z.object({ dataset: z.string(), rows: Download, examples: z.array(z.object({ id: z.string(), row: z.number().int().nonnegative() })) }))
    .default([]),
  /** `auto`: a finished advice job about the same data. */
  advice: z.object({ job: z.string(), advice: Advice }).nullable().default(null),
  checkpoint: Download.extend({ epoch: z.number().int() }).nullable(),
  false_reject_rate: z.number().nullable(),
});
export type TrainWork = z.infer<typeof TrainWork>;

export const Work = z.discriminatedUnion('kind', [ValidateWork, TrainWork]);
export type Work = z.infer<typeof Work>;

/** How long a lease holds from its answer on: a host's clock may be minutes off, so it counts these on one that nobody sets. */
const ExpiresInSeconds = z.number().default(LEASE_TTL_SECONDS);

export const Lease = z.object({
  token: z.string(),
  fence: z.number().int(),
  attempt: z.number().int(),
  expires_at: z.string(),
  expires_in_seconds: ExpiresInSeconds,
  heartbeat_seconds: z.number(),
  work: Work,
});
export type Lease = z.infer<typeof Lease>;

/** `heartbeat`: renews the lease; `command` says what the owner of the job wants. */
export const HeartbeatRequest = z.object({ progress: Progress.nullable().optional() });
export const HeartbeatResponse = z.object({
  expires_at: z.string(),
  expires_in_seconds: ExpiresInSeconds,
  command: z.enum(['continue', 'pause', 'cancel']),
});
export type HeartbeatResponse = z.infer<typeof HeartbeatResponse>;

/** `events`: what happened, in order. The first `phase` after `loading` moves a job from `validating` to `running`. */
export const HostEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('phase'), phase: z.string() }),
  z.object({ type: z.literal('progress'), progress: Progress }),
  Choice,
  z.object({ type: z.literal('log'), level: z.enum(['info', 'warning', 'error']), message: z.string().max(EVENT_MESSAGE_MAX_CHARS) }),
]);
export type HostEvent = z.infer<typeof HostEvent>;
/** `first`: number of the first one; they grow over the life of a host, so that those of a request that comes again are told once. */
export const EventsRequest = z.object({ events: z.array(HostEvent).min(1).max(100), first: z.number().int().positive().optional() });

/**
 * `incumbent`: the head of the version that is compared with, as it would be had these examples never been enrolled, because they are held out. Null
 * where that one would have nothing to answer with, and where it is what a job or a refinement made: then it is compared with as it is.
 */
export const IncumbentRequest = z.object({ version: z.number().int(), without: z.array(z.string().max(100)).min(1).max(200_000) });
export const IncumbentResponse = z.object({ head: Download.nullable() });
export type IncumbentResponse = z.infer<typeof IncumbentResponse>;

const FileName = z.string().regex(/^[a-z0-9._-]{1,80}$/);
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
/** `artifacts`: asks for presigned PUTs. Names: for training `ArtifactName`, for validation the frozen files. */
export const ArtifactsRequest = z.object({
  files: z
    .array(z.object({ name: FileName, sha256: Sha256, bytes: z.number().int().nonnegative() }))
    .min(1)
    .max(20),
});
/** Large files are in `in_parts` too, and go up that way; their single PUT is for hosts that know no parts. */
export const ArtifactsResponse = z.object({ uploads: z.record(z.string(), UploadTarget), in_parts: z.record(z.string(), PartsTarget).default({}) });
export type ArtifactsResponse = z.infer<typeof ArtifactsResponse>;
const PartNumber = z.number().int().min(1).max(10_000);
const StoreUpload = z.string().min(1).max(2_000);
/** `part`: asks for the presigned PUT of one part. */
export const PartRequest = z.object({ name: FileName, upload: StoreUpload, number: PartNumber, sha256: Sha256, bytes: z.number().int().positive() });
export type PartRequest = z.infer<typeof PartRequest>;
export const PartResponse = z.object({ upload: UploadTarget });
/** `join`: the store makes one file of the parts. May be sent again. */
export const JoinRequest = z.object({
  name: FileName,
  upload: StoreUpload,
  bytes: z.number().int().positive(),
  part_bytes: z.number().int().positive(),
  parts: z
    .array(z.object({ number: PartNumber, etag: z.string().min(1).max(200), sha256: Sha256 }))
    .min(1)
    .max(10_000),
});
export type JoinRequest = z.infer<typeof JoinRequest>;
/** `checkpoint`: first asks where it goes (`stored: false`), then, when it is there, records it (`stored: true`). */
export const CheckpointRequest = z.object({ epoch: z.number().int(), sha256: z.string(), bytes: z.number().int(), stored: z.boolean() });
/** A large one is in `in_parts` too, under the name that `part` and `join` know it by, and goes up that way. */
export const CheckpointResponse = z.object({
  upload: UploadTarget.nullable(),
  in_parts: PartsTarget.extend({ name: FileName }).nullable().default(null),
});
export type CheckpointResponse = z.infer<typeof CheckpointResponse>;

export const CompleteRequest = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('validate'),
    ready: z.boolean(),
    manifest: DatasetManifest.nullable(),
    errors: DatasetManifest.shape.errors,
    error_count: z.number().int(),
    /** Null where nothing was inspected (no backbone, or an engine that failed); the issues themselves are in `quality.jsonl`. */
    inspection: InspectionSummary.nullable().default(null),
  }),
  z.object({ kind: z.literal('advice'), advice: Advice, seconds: z.number() }),
  z.object({
    kind: z.literal('train'),
    result: EngineResult,
    artifacts: z.array(z.object({ name: ArtifactName, sha256: z.string(), bytes: z.number().int() })),
    /** Ids of the enrolled examples in the order of `enrolled.*` in embeddings.safetensors. */
    enrolled_ids: z.array(z.string()),
  }),
]);
export type CompleteRequest = z.infer<typeof CompleteRequest>;
export const CompleteResponse = z.object({ status: z.string(), decision: z.string().nullable() });
export type CompleteResponse = z.infer<typeof CompleteResponse>;

export const FailRequest = z.object({
  code: z.string(),
  detail: z.string().max(FAIL_DETAIL_MAX_CHARS),
  retryable: z.boolean(),
  blame: z.enum(['caller', 'graft']),
});
/** `release`: the host gives the work back (shutdown, pause, cancel); `reason` decides the next status. */
export const ReleaseRequest = z.object({ reason: z.enum(['shutdown', 'paused', 'cancelled']) });
