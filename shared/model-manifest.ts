/** What a training job leaves behind: the files by name, and the manifest that names them. */
import { z } from 'zod';

/**
 * `embeddings.safetensors` holds raw embeddings (no transform): `base` F32 [n, d] and, when a tail was tuned, `tuned` F32 [n, d] of the *training* rows
 * (at most 5,000, balanced over classes), `labels` I32 [n], `rows` I32 [n] (row in the frozen dataset); and `enrolled.base`, `enrolled.tuned` in the order of
 * `spec.enrolled.ids`. `background.tuned` F32 [m, d]: the background examples through the tuned tail. Of a multi-label model `present` U8 [n, labels] says
 * which of its labels each row has, and `labels` are 0, as in the frozen dataset.
 */
export const ArtifactName = z.enum([
  'head.safetensors',
  'tail.onnx',
  'tail.onnx.data',
  'trunk.onnx',
  'trunk.onnx.data',
  'embeddings.safetensors',
  'weights.safetensors',
  'head.tfjs.json',
  'head.tfjs.bin',
  'model-card.md',
  'learning-curve.svg',
  'confusion.svg',
  'reliability.svg',
  'classes.svg',
  'heads.safetensors',
  'manifest.json',
]);
export type ArtifactName = z.infer<typeof ArtifactName>;

/**
 * How a model's own graphs answer beside the torch network that they were exported from, on the held-out rows. Logits are scores divided by the
 * temperature.
 */
export const Parity = z
  .object({
    /** What the graphs compute in: `int8` (dynamic, per channel) is kept for texts only. */
    precision: z.enum(['int8', 'float32']),
    rows: z.number().int(),
    max_abs_logit_difference: z.number(),
    /** Rows with the same best label. */
    same_top1: z.number().int(),
    /** The same best label on every row. */
    holds: z.boolean(),
    /** Precisions that were tried and not kept, with the same figures. */
    rejected: z.array(z.object({ precision: z.enum(['int8', 'float32']), max_abs_logit_difference: z.number(), same_top1: z.number().int() })),
  })
  .meta({ id: 'Parity' });
export type Parity = z.infer<typeof Parity>;

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
    /** `whole`: trunk.onnx is this model's own; otherwise the base backbone's trunk feeds the tail. */
    network: z.enum(['base', 'tail', 'whole']).default('tail'),
    /** Null where the model has no graphs of its own. */
    parity: Parity.nullable().default(null),
    /** What it was made from and by: method, parents, code version, figures on the held-out rows, preprocessing. */
    lineage: z.record(z.string(), z.unknown()).default({}),
    files: z.array(z.object({ name: ArtifactName, sha256: z.string(), bytes: z.number().int() })),
  })
  .meta({ id: 'ModelManifest' });
export type ModelManifest = z.infer<typeof ModelManifest>;
