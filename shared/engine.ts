/**
 * Protocol 1 between the trainer host (Node) and the engine (Python): one `EngineSpec` as JSON on stdin, one `EngineLine` of JSON a line on
 * stdout, human text on stderr. Exit codes: 0 result sent, 2 bad spec or data (do not retry), 3 stopped by SIGTERM after a checkpoint,
 * 4 out of memory (retry with a smaller batch), anything else a crash (retry). JSON Schema for the engine is generated from this file.
 */
import { z } from 'zod';
import { MethodType } from './jobs.ts';

export const ENGINE_PROTOCOL = 1;

export const MethodOptions = z
  .strictObject({
    type: MethodType.default('auto'),
    epochs: z.number().int().min(1).max(1_000).optional(),
    learning_rate: z.number().positive().max(1).optional(),
    batch_size: z.number().int().min(1).max(4_096).optional(),
    weight_decay: z.number().min(0).max(1).optional(),
    label_smoothing: z.number().min(0).max(0.5).optional(),
    /** How much of the backbone is trained: only heads, the tail (last blocks) or everything. */
    depth: z.enum(['head', 'last_blocks', 'full']).optional(),
    augment_views: z.number().int().min(1).max(16).optional(),
  })
  .meta({ id: 'MethodOptions' });
export type MethodOptions = z.infer<typeof MethodOptions>;

export const EngineSpec = z
  .object({
    protocol: z.literal(ENGINE_PROTOCOL),
    job: z.string(),
    seed: z.number().int(),
    modality: z.enum(['image', 'text']),
    method: MethodOptions,
    /** Path of `dataset.safetensors` and its label names. */
    dataset: z.object({ arrays: z.string(), labels: z.array(z.string()) }),
    /** Examples enrolled in the classifier, decoded by the host like a dataset (same tensors without `split`), never held out. `labels` index into `dataset.labels` after those not in it were appended to `labels`. */
    enrolled: z.object({ arrays: z.string(), ids: z.array(z.string()), labels: z.array(z.string()) }).nullable(),
    /** The head being served now (safetensors, head-file.ts) and, when it is a trained one, its tail graph. */
    incumbent: z.object({ head: z.string(), tail: z.string().nullable() }).nullable(),
    /** Folder with manifest.json and the files that it names. */
    backbone: z.object({ id: z.string(), dir: z.string() }),
    checkpoint: z.string().nullable(),
    out_dir: z.string(),
    device: z.enum(['auto', 'cpu', 'cuda']),
    limits: z.object({ threads: z.number().int().min(1), max_seconds: z.number().positive().nullable() }),
    /** Requested false-reject rate of the open-set rule; null for none. */
    false_reject_rate: z.number().min(0).max(0.5).nullable(),
  })
  .meta({ id: 'EngineSpec' });
export type EngineSpec = z.infer<typeof EngineSpec>;

export const Progress = z
  .object({
    epoch: z.number().int(),
    epochs: z.number().int(),
    step: z.number().int(),
    examples_per_second: z.number(),
    eta_seconds: z.number().nullable(),
    loss: z.number().nullable().optional(),
  })
  .meta({ id: 'Progress' });
export type Progress = z.infer<typeof Progress>;

/** Per held-out row, one value each, all arrays of the same length. Predictions index `HeldOut.labels`; −1 is "not a label this one knows". */
export const HeldOut = z
  .object({
    split: z.enum(['validation', 'test']),
    labels: z.array(z.string()),
    rows: z.array(z.number().int()),
    truth: z.array(z.number().int()),
    candidate: z.object({ prediction: z.array(z.number().int()), confidence: z.array(z.number()) }),
    incumbent: z.object({ prediction: z.array(z.number().int()), confidence: z.array(z.number()) }).nullable(),
    /** Ridge head on the frozen base embedding, fitted on the same training rows. */
    frozen: z.object({ prediction: z.array(z.number().int()), confidence: z.array(z.number()) }),
    /** Majority class of the training rows. */
    baseline: z.object({ prediction: z.array(z.number().int()), confidence: z.array(z.number()) }),
  })
  .meta({ id: 'HeldOut' });
export type HeldOut = z.infer<typeof HeldOut>;

export const ArtifactName = z.enum([
  'head.safetensors',
  'tail.onnx',
  'tail.onnx.data',
  'embeddings.safetensors',
  'weights.safetensors',
  'manifest.json',
]);
export type ArtifactName = z.infer<typeof ArtifactName>;

/**
 * `embeddings.safetensors` holds raw embeddings (no transform): `base` F32 [n, d] and, when a tail was tuned, `tuned` F32 [n, d] of the *training* rows
 * (at most 5,000, balanced over classes), `labels` I32 [n], `rows` I32 [n] (row in the frozen dataset); and `enrolled.base`, `enrolled.tuned` in the order of
 * `spec.enrolled.ids`. `background.tuned` F32 [m, d]: the background examples through the tuned tail.
 */
export const EngineResult = z
  .object({
    method: z.object({ asked: MethodType, used: z.string() }),
    hyperparameters: z.record(z.string(), z.unknown()),
    /** Weight of the tuned component found by cross-fitting on training rows; 0 when the tuned part was refused. */
    tuned_mix: z.number().min(0).max(1),
    /** Cross-fitted accuracy by mixing weight: the evidence. */
    mix_curve: z.array(z.object({ mix: z.number(), accuracy: z.number() })),
    temperature: z.number().positive(),
    labels: z.array(z.string()),
    held_out: HeldOut,
    train_rows: z.number().int(),
    seconds: z.number(),
    device: z.string(),
    /** Loss at the end of each epoch. */
    losses: z.array(z.number()),
    notes: z.array(z.string()),
  })
  .meta({ id: 'EngineResult' });
export type EngineResult = z.infer<typeof EngineResult>;

export const EngineLine = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('phase'), phase: z.enum(['loading', 'embedding', 'training', 'evaluating', 'exporting']) }),
    z.object({ type: z.literal('progress'), progress: Progress }),
    /** A complete file in `out_dir`, renamed into place before this line. */
    z.object({ type: z.literal('checkpoint'), file: z.string(), epoch: z.number().int(), sha256: z.string(), bytes: z.number().int() }),
    z.object({ type: z.literal('artifact'), name: ArtifactName, file: z.string(), sha256: z.string(), bytes: z.number().int() }),
    z.object({ type: z.literal('result'), result: EngineResult }),
    z.object({ type: z.literal('error'), code: z.string(), detail: z.string(), retryable: z.boolean(), blame: z.enum(['caller', 'graft']) }),
  ])
  .meta({ id: 'EngineLine' });
export type EngineLine = z.infer<typeof EngineLine>;

/** `manifest.json` of a trained model, written last: if it is there, everything it names is there. */
export const ModelManifest = z
  .object({
    format: z.literal('graft-model-1'),
    job: z.string(),
    base_backbone: z.string(),
    base_sha256: z.string(),
    modality: z.enum(['image', 'text']),
    dimension: z.number().int(),
    labels: z.array(z.string()),
    seed: z.number().int(),
    dataset_digest: z.string().nullable(),
    tuned: z.boolean(),
    files: z.array(z.object({ name: ArtifactName, sha256: z.string(), bytes: z.number().int() })),
  })
  .meta({ id: 'ModelManifest' });
export type ModelManifest = z.infer<typeof ModelManifest>;
