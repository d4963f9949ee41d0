/** What one classifier's Durable Object can do, as an interface: callers and env.ts know this, never the class. Embeddings are raw (no transform). */
import type { DriftCause, DriftFigures } from './drift.ts';
import type { LabelCounts } from './label-counts.ts';
import type { Moments } from './moments.ts';
import type { ReviewedPrediction } from '../../shared/wire/review.ts';

export type LabelInfo = { readonly name: string; readonly description: string | null; readonly examples: number };

export type ClassifierConfig = {
  readonly id: string;
  readonly tenant: string;
  readonly modality: 'image' | 'text' | 'vector';
  readonly backbone: string | null;
  readonly dimension: number;
  readonly transform: 'l2' | 'sqrt_l2';
  readonly task: 'single_label' | 'multi_label';
  /** null: never answers unknown. */
  readonly falseRejectRate: number | null;
};

export type NewExample = {
  readonly id: string;
  readonly labels: readonly string[];
  /** Embedding of the base backbone (or the caller's vector). */
  readonly base: Float32Array;
  /** Embedding of the tail that the active version carries, when it carries one; its model id. */
  readonly tuned: { readonly model: string; readonly embedding: Float32Array } | null;
  readonly sha256: string;
  readonly contentType: string | null;
  readonly objectKey: string | null;
  readonly externalId: string | null;
};

export type ExampleWarning = { readonly code: string; readonly example_id?: string; readonly detail: string };
export type ExampleInfo = {
  readonly id: string;
  readonly labels: readonly string[];
  readonly source: 'enrolled' | 'dataset';
  readonly sha256: string;
  readonly contentType: string | null;
  readonly objectKey: string | null;
  readonly externalId: string | null;
  readonly createdAt: number;
};

export type VersionInfo = {
  readonly n: number;
  readonly kind: 'instant' | 'adapted' | 'trained' | 'restored';
  readonly backbone: string | null;
  /** mdl_… whose tail this version runs on; null for the plain base backbone. */
  readonly model: string | null;
  readonly labels: readonly string[];
  readonly evidence: unknown;
  readonly parent: number | null;
  readonly active: boolean;
  readonly createdAt: number;
};

export type ServedHead = {
  readonly version: number;
  readonly model: string | null;
  /** `encodeHead` bytes; null when there is nothing to predict yet. */ readonly head: Uint8Array | null;
};
/** `newest`: the highest number that any version has had; above the served one after a rollback, or while a trained one waits to be activated. */
export type ActiveHead = (ServedHead | { readonly unchanged: true; readonly version: number }) & { readonly newest: number };

export type TrainedVersion = {
  readonly job: string;
  readonly model: string;
  readonly backbone: string;
  /** Object keys of `head.safetensors` and `embeddings.safetensors`. */
  readonly headKey: string;
  readonly embeddingsKey: string;
  readonly datasetId: string;
  readonly enrolledIds: readonly string[];
  readonly evidence: unknown;
  /** The version that the candidate was compared with; when another is active now, nothing is activated. */
  readonly comparedWith: number;
  readonly activate: boolean;
};

/** An input to be kept for review, with what was answered for it. */
export type NewReviewItem = Pick<NewExample, 'id' | 'base' | 'tuned' | 'sha256' | 'contentType' | 'objectKey'> & {
  readonly prediction: ReviewedPrediction;
};
export type ReviewItemInfo = Pick<NewReviewItem, 'id' | 'sha256' | 'contentType' | 'objectKey' | 'prediction'> & {
  /** mdl_… whose embedding is kept beside the base one. */
  readonly tunedModel: string | null;
  readonly createdAt: number;
};
export type EnrolledFromReview = { readonly version: number; readonly exampleId: string; readonly warnings: ExampleWarning[] };

/** Some predictions as one isolate saw them, joined: features are those of the head (see learning/features.ts). */
export type Observed = {
  /** The latest version that answered; all of them centred features alike. */
  readonly version: number;
  readonly moments: Moments;
  /** By the likeliest label, unknown ones too. */
  readonly labels: LabelCounts;
  readonly unknown: number;
};
/** A window of predictions that was judged; in the names of the report, where it is published. Times are ISO 8601. */
export type JudgedWindow = DriftFigures & { readonly version: number; readonly predictions: number; readonly from: string; readonly to: string };
export type DriftState = {
  readonly status: 'collecting' | 'normal' | 'drifting';
  readonly causes: readonly DriftCause[];
  /** Since when it drifts. */
  readonly since: string | null;
  /** How many predictions the open window holds, and how many it needs. */
  readonly collected: number;
  readonly window: number;
  readonly last: JudgedWindow | null;
};
/** An alarm to be told of; the id makes telling it twice telling it once. */
export type DriftAlarm = { readonly event: string; readonly causes: readonly DriftCause[]; readonly window: JudgedWindow };

/** An input of the domain to adapt to; its labels, all of them, where somebody said them: exactly one unless the classifier gives several. */
export type TargetInput = { readonly base: Float32Array; readonly tuned: Float32Array | null; readonly labels: readonly string[] | null };
/** Which rows of a dataset the target inputs are; in the names of the evidence, where it is published. */
export type TargetSource = {
  readonly dataset: string;
  readonly rows: number;
  /** Neither test rows nor of labels that the classifier does not have. */
  readonly eligible: number;
  readonly other_labels: number;
  readonly read: number;
  readonly seed: number;
};

export type Verified = {
  readonly version: number;
  readonly match: boolean;
  readonly similarity: number;
  readonly threshold: number;
  /** Whether the false-accept rate was counted (true) or extrapolated. */
  readonly promised: boolean;
  /** How many the threshold rests on. */
  readonly impostors: number;
};

export type Failure = {
  readonly ok: false;
  readonly code: 'not_found' | 'unknown_label' | 'conflict' | 'unprocessable' | 'nothing_to_predict' | 'negative_transfer';
  readonly detail: string;
  /** What a refusal rests on. */
  readonly evidence?: unknown;
};
export type Outcome<T> = { readonly ok: true; readonly value: T } | Failure;

/** A trained model that a classifier stands on from its first version: object keys of its `head.safetensors` and `embeddings.safetensors`. */
export type StartingModel = { readonly model: string; readonly headKey: string; readonly embeddingsKey: string };

/** Every method is serialised by the object; all are safe to repeat with the same ids. */
export interface ClassifierObject {
  create(
    config: ClassifierConfig,
    labels: readonly { name: string; description: string | null; embedding: Float32Array | null }[],
    start?: StartingModel | null,
  ): Promise<{ version: number }>;
  describe(): Promise<{ config: ClassifierConfig; version: number; model: string | null; labels: LabelInfo[] } | null>;
  enroll(
    examples: readonly NewExample[],
    newLabels: readonly { name: string; embedding: Float32Array | null }[],
  ): Promise<Outcome<{ version: number; warnings: ExampleWarning[][] }>>;
  listExamples(page: { limit: number; after: string | null; label: string | null }): Promise<{ data: ExampleInfo[]; hasMore: boolean }>;
  getExample(id: string): Promise<ExampleInfo | null>;
  relabelExample(id: string, labels: readonly string[]): Promise<Outcome<{ version: number; example: ExampleInfo }>>;
  /** Forgets the example everywhere (older versions that saw it can no longer be activated as they were: they are solved again without it). */
  deleteExample(id: string): Promise<Outcome<{ version: number; objectKey: string | null }>>;
  updateLabel(
    name: string,
    change: { name?: string; description?: string | null; embedding?: Float32Array | null; mergeInto?: string },
  ): Promise<Outcome<{ version: number; labels: LabelInfo[] }>>;
  deleteLabel(name: string): Promise<Outcome<{ version: number; objectKeys: string[] }>>;
  configure(change: { falseRejectRate: number | null }): Promise<{ version: number }>;
  /** The active head, or nothing new when the caller already holds `known`. */
  servedHead(known: number | null): Promise<ActiveHead>;
  headOf(version: number): Promise<Outcome<ServedHead>>;
  /** Is this of that label? Compared with the label's examples and with what impostors (background, other labels) reach; see learning/verification.ts. */
  verify(asked: { label: string; embedding: Float32Array; falseAcceptRate: number }): Promise<Outcome<Verified>>;
  /** A new active version for the domain of these inputs, or `negative_transfer` with the evidence; see learning/adaptation. */
  adapt(targets: readonly TargetInput[], from: { model: string | null; source: TargetSource | null }): Promise<Outcome<VersionInfo>>;
  listVersions(): Promise<VersionInfo[]>;
  activateVersion(n: number): Promise<Outcome<VersionInfo>>;
  /** Idempotent by job: the second call with the same job answers what the first one did. */
  takeTrained(trained: TrainedVersion): Promise<Outcome<{ version: number; activated: boolean; activeVersion: number; reason: string | null }>>;
  /** What a training job needs: the head being served, every example that was enrolled, and how many came from datasets instead. */
  exportForTraining(): Promise<{
    version: number;
    model: string | null;
    head: Uint8Array | null;
    examples: ExampleInfo[];
    /** Which rows of which datasets it was trained on and kept, by the example that each became. */
    rows: { id: string; dataset: string; row: number }[];
    fromDatasets: number;
    falseRejectRate: number | null;
  }>;
  /** Ids of all examples that were enrolled and are still there. */
  enrolledIds(): Promise<string[]>;
  /** The head of a version had these examples never been enrolled; null where it cannot be solved, or would have nothing to answer with. */
  headWithout(version: number, examples: readonly string[]): Promise<Uint8Array | null>;
  /** Which of these inputs (by SHA-256) are neither waiting for review nor examples. */
  newToReview(sha256s: readonly string[]): Promise<string[]>;
  /** Keeps what is new and drops the oldest beyond `max`; `droppedKeys` are the originals of those dropped. */
  keepForReview(items: readonly NewReviewItem[], max: number): Promise<{ kept: string[]; droppedKeys: string[] }>;
  /** Newest first. */
  listReview(page: { limit: number; after: string | null }): Promise<{ data: ReviewItemInfo[]; hasMore: boolean }>;
  getReviewItem(id: string): Promise<ReviewItemInfo | null>;
  /** Exactly once: a second call is a `conflict` that names the example. `tuned`: in place of the embedding that was kept. */
  enrollReviewed(
    id: string,
    said: { labels: readonly string[]; tuned: { model: string; embedding: Float32Array } | null },
    newLabels: readonly { name: string; embedding: Float32Array | null }[],
  ): Promise<Outcome<EnrolledFromReview>>;
  dropReviewItem(id: string): Promise<Outcome<{ objectKey: string | null }>>;
  /** Takes predictions into the open window; judges it when it is full. The answer is the alarms that nobody has settled yet. */
  observe(observed: Observed): Promise<readonly DriftAlarm[]>;
  /** The alarm was told. */
  settleDrift(event: string): Promise<void>;
  report(): Promise<unknown>;
  /** Keys of the originals that go with this label, or with the classifier (null). */
  originals(label: string | null): Promise<string[]>;
  /** `objectKeys`: the originals that there were at the last moment. */
  destroy(): Promise<{ objectKeys: string[] }>;
}
