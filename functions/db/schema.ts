/** D1 tables. Times are integer milliseconds UTC. Rows never leave the stores: API bodies are made in use cases. */
import type { ReviewRule } from '../../shared/wire/review.ts';
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';

export const tenants = sqliteTable('tenants', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  createdAt: integer('created_at').notNull(),
});

export const keys = sqliteTable(
  'keys',
  {
    id: text('id').primaryKey(),
    tenantId: text('tenant_id')
      .notNull()
      .references(() => tenants.id),
    name: text('name').notNull(),
    /** SHA-256 of the whole key, hex. */
    hash: text('hash').notNull(),
    /** Last four characters, for people who look for the right one. */
    hint: text('hint').notNull(),
    scopes: text('scopes', { mode: 'json' }).$type<string[]>().notNull(),
    expiresAt: integer('expires_at'),
    revokedAt: integer('revoked_at'),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [uniqueIndex('keys_hash').on(t.hash), index('keys_tenant').on(t.tenantId, t.id)],
);

export const classifiers = sqliteTable(
  'classifiers',
  {
    id: text('id').primaryKey(),
    tenantId: text('tenant_id')
      .notNull()
      .references(() => tenants.id),
    name: text('name').notNull(),
    modality: text('modality').$type<'image' | 'text' | 'vector'>().notNull(),
    backbone: text('backbone'),
    dimension: integer('dimension').notNull(),
    task: text('task').$type<'single_label' | 'multi_label'>().notNull(),
    falseRejectRate: text('false_reject_rate'),
    /** Null: no review queue. */
    review: text('review', { mode: 'json' }).$type<ReviewRule | null>(),
    createdAt: integer('created_at').notNull(),
    deletedAt: integer('deleted_at'),
  },
  (t) => [index('classifiers_tenant').on(t.tenantId, t.id)],
);

export const datasets = sqliteTable(
  'datasets',
  {
    id: text('id').primaryKey(),
    tenantId: text('tenant_id')
      .notNull()
      .references(() => tenants.id),
    name: text('name').notNull(),
    modality: text('modality').$type<'image' | 'text'>().notNull(),
    task: text('task').$type<'single_label' | 'multi_label'>().notNull(),
    format: text('format').$type<'imagefolder' | 'jsonl' | 'csv' | 'classifier'>().notNull(),
    columns: text('columns', { mode: 'json' }).$type<Record<string, string> | null>(),
    fromClassifier: text('from_classifier'),
    status: text('status').$type<'awaiting_upload' | 'validating' | 'ready' | 'invalid'>().notNull(),
    uploadId: text('upload_id'),
    /** DatasetManifest, when frozen. */
    manifest: text('manifest', { mode: 'json' }),
    /** Inspection without its issues, when the host made one. */
    quality: text('quality', { mode: 'json' }),
    /** Fence of the lease that froze it: part of the keys of its files. */
    frozenFence: integer('frozen_fence'),
    errors: text('errors', { mode: 'json' }),
    errorCount: integer('error_count').notNull().default(0),
    createdAt: integer('created_at').notNull(),
    readyAt: integer('ready_at'),
    deletedAt: integer('deleted_at'),
  },
  (t) => [index('datasets_tenant').on(t.tenantId, t.id)],
);

export const uploads = sqliteTable('uploads', {
  id: text('id').primaryKey(),
  tenantId: text('tenant_id').notNull(),
  datasetId: text('dataset_id')
    .notNull()
    .references(() => datasets.id),
  filename: text('filename').notNull(),
  objectKey: text('object_key').notNull(),
  /** The store's own multipart id. */
  multipartId: text('multipart_id').notNull(),
  bytes: integer('bytes').notNull(),
  sha256: text('sha256'),
  partBytes: integer('part_bytes').notNull(),
  status: text('status').$type<'open' | 'completed' | 'aborted'>().notNull(),
  expiresAt: integer('expires_at').notNull(),
  createdAt: integer('created_at').notNull(),
});

export const jobs = sqliteTable(
  'jobs',
  {
    id: text('id').primaryKey(),
    tenantId: text('tenant_id')
      .notNull()
      .references(() => tenants.id),
    /** `advice` jobs train nothing; their result is an Advice. */
    kind: text('kind').$type<'training' | 'advice'>().notNull().default('training'),
    datasetId: text('dataset_id').notNull(),
    validationDatasetId: text('validation_dataset_id'),
    targetDatasetId: text('target_dataset_id'),
    sourceClassifierId: text('source_classifier_id'),
    classifierId: text('classifier_id'),
    backbone: text('backbone').notNull(),
    /** Quality codes whose rows are left out, and single rows. */
    exclude: text('exclude', { mode: 'json' }).$type<(string | number)[] | null>(),
    method: text('method', { mode: 'json' }).notNull(),
    seed: integer('seed').notNull(),
    promote: text('promote').$type<'if_better' | 'never'>().notNull(),
    metadata: text('metadata', { mode: 'json' }),
    status: text('status').$type<'queued' | 'validating' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled'>().notNull(),
    progress: text('progress', { mode: 'json' }),
    result: text('result', { mode: 'json' }),
    error: text('error', { mode: 'json' }),
    modelId: text('model_id'),
    createdAt: integer('created_at').notNull(),
    startedAt: integer('started_at'),
    finishedAt: integer('finished_at'),
  },
  (t) => [index('jobs_tenant').on(t.tenantId, t.id)],
);

/** One row per leasable piece of work: `id` is the dataset's (validate) or the job's (train) id. */
export const work = sqliteTable(
  'work',
  {
    id: text('id').primaryKey(),
    kind: text('kind').$type<'validate' | 'train'>().notNull(),
    tenantId: text('tenant_id').notNull(),
    status: text('status').$type<'queued' | 'leased' | 'held' | 'done' | 'dead'>().notNull(),
    /** Grows by one with every lease: the fencing token. */
    fence: integer('fence').notNull().default(0),
    /** SHA-256 of the lease token. */
    tokenHash: text('token_hash'),
    host: text('host'),
    expiresAt: integer('expires_at'),
    /** When a host last got it, unless that host gave it back or vanished: the tenant's turn. */
    leasedAt: integer('leased_at'),
    availableAt: integer('available_at').notNull(),
    attempts: integer('attempts').notNull().default(0),
    /** Number of the last event that the holder told: sent again because an answer was lost, it is not told twice. */
    told: integer('told').notNull().default(0),
    /** What the owner wants of the lease holder: continue, pause or cancel. */
    command: text('command').$type<'continue' | 'pause' | 'cancel'>().notNull().default('continue'),
    /** Token, request digest and answer of the completion, for its repetition. */
    completionTokenHash: text('completion_token_hash'),
    completionDigest: text('completion_digest'),
    completionAnswer: text('completion_answer', { mode: 'json' }),
    /** What the incumbent was when the job was leased. */
    inputs: text('inputs', { mode: 'json' }),
    /** A verified completion that the durable object may have taken already: whoever comes next (host or sweep) carries it to its end. */
    pending: text('pending', { mode: 'json' }),
    createdAt: integer('created_at').notNull(),
    /** When it has ended: from when on nothing can come any more of what its attempts were sending. Null again when that was looked for. */
    tidyAt: integer('tidy_at'),
  },
  (t) => [
    index('work_tidy').on(t.tidyAt),
    index('work_ready').on(t.status, t.availableAt),
    index('work_turn').on(t.tenantId, t.kind, t.leasedAt),
    index('work_token').on(t.tokenHash),
    index('work_done_token').on(t.completionTokenHash),
  ],
);

/** Trainer hosts that asked for work, so that a queued job can say whether anybody is there to run it. */
export const hosts = sqliteTable('hosts', {
  name: text('name').primaryKey(),
  /** Kind of work → when it last asked for some. */
  kinds: text('kinds', { mode: 'json' }).$type<Partial<Record<'validate' | 'train', number>>>().notNull(),
  device: text('device').notNull(),
  lastSeenAt: integer('last_seen_at').notNull(),
});

export const checkpoints = sqliteTable(
  'checkpoints',
  {
    jobId: text('job_id').notNull(),
    fence: integer('fence').notNull(),
    epoch: integer('epoch').notNull(),
    objectKey: text('object_key').notNull(),
    sha256: text('sha256').notNull(),
    bytes: integer('bytes').notNull(),
    createdAt: integer('created_at').notNull(),
    /** When the owner asked to go on from it; whatever is made afterwards is newer. */
    chosenAt: integer('chosen_at'),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.fence, t.epoch] })],
);

export const jobEvents = sqliteTable(
  'job_events',
  {
    jobId: text('job_id').notNull(),
    /** 1, 2, 3 … per job: the SSE id. */
    sequence: integer('sequence').notNull(),
    type: text('type').notNull(),
    data: text('data', { mode: 'json' }).notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.sequence] })],
);

export const models = sqliteTable(
  'models',
  {
    id: text('id').primaryKey(),
    tenantId: text('tenant_id').notNull(),
    jobId: text('job_id').notNull(),
    classifierId: text('classifier_id'),
    backbone: text('backbone').notNull(),
    /** ModelManifest. */
    manifest: text('manifest', { mode: 'json' }).notNull(),
    /** Artifact name → object key. */
    files: text('files', { mode: 'json' }).$type<Record<string, string>>().notNull(),
    createdAt: integer('created_at').notNull(),
    deletedAt: integer('deleted_at'),
  },
  (t) => [index('models_tenant').on(t.tenantId, t.id), uniqueIndex('models_job').on(t.jobId)],
);

export const events = sqliteTable(
  'events',
  {
    id: text('id').primaryKey(),
    tenantId: text('tenant_id').notNull(),
    type: text('type').notNull(),
    data: text('data', { mode: 'json' }).notNull(),
    /** 0 until deliveries were made for it: the outbox. */
    fannedOut: integer('fanned_out').notNull().default(0),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [index('events_tenant').on(t.tenantId, t.id), index('events_outbox').on(t.fannedOut, t.id)],
);

export const webhooks = sqliteTable(
  'webhooks',
  {
    id: text('id').primaryKey(),
    tenantId: text('tenant_id').notNull(),
    url: text('url').notNull(),
    description: text('description'),
    events: text('events', { mode: 'json' }).$type<string[]>().notNull(),
    /** AES-GCM sealed `whsec_…`, base64. */
    secretSealed: text('secret_sealed').notNull(),
    previousSecretSealed: text('previous_secret_sealed'),
    previousSecretUntil: integer('previous_secret_until'),
    disabledAt: integer('disabled_at'),
    disabledReason: text('disabled_reason'),
    createdAt: integer('created_at').notNull(),
    deletedAt: integer('deleted_at'),
  },
  (t) => [index('webhooks_tenant').on(t.tenantId, t.id)],
);

export const deliveries = sqliteTable(
  'deliveries',
  {
    id: text('id').primaryKey(),
    tenantId: text('tenant_id').notNull(),
    webhookId: text('webhook_id').notNull(),
    eventId: text('event_id').notNull(),
    status: text('status').$type<'pending' | 'sending' | 'delivered' | 'failed'>().notNull(),
    attempts: integer('attempts').notNull().default(0),
    nextAttemptAt: integer('next_attempt_at'),
    /** While `sending`: when another consumer may take it over. */
    claimedUntil: integer('claimed_until'),
    lastStatus: integer('last_status'),
    lastError: text('last_error'),
    createdAt: integer('created_at').notNull(),
    deliveredAt: integer('delivered_at'),
  },
  (t) => [
    uniqueIndex('deliveries_once').on(t.webhookId, t.eventId),
    index('deliveries_due').on(t.status, t.nextAttemptAt),
    index('deliveries_webhook').on(t.webhookId, t.id),
    index('deliveries_event').on(t.eventId),
  ],
);

export const idempotency = sqliteTable(
  'idempotency',
  {
    tenantId: text('tenant_id').notNull(),
    key: text('key').notNull(),
    requestDigest: text('request_digest').notNull(),
    status: text('status').$type<'in_flight' | 'done'>().notNull(),
    responseStatus: integer('response_status'),
    responseHeaders: text('response_headers', { mode: 'json' }).$type<Record<string, string>>(),
    responseBody: text('response_body'),
    lockedUntil: integer('locked_until').notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenantId, t.key] })],
);

export const usage = sqliteTable(
  'usage',
  {
    tenantId: text('tenant_id').notNull(),
    /** UTC day, YYYY-MM-DD. */
    day: text('day').notNull(),
    metric: text('metric').$type<'predictions' | 'enrollments' | 'training_seconds' | 'stored_bytes'>().notNull(),
    amount: integer('amount').notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenantId, t.day, t.metric] })],
);
