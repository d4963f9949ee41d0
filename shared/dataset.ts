/** A frozen dataset: what the host writes after validation and what the engine reads. */
import { z } from 'zod';
import { ErrorDetail } from './errors.ts';
import { BlobFile, Task } from './catalogue.ts';

export const SPLITS = ['train', 'validation', 'test'] as const;
/** Value of the `labels` tensor for a row without a label (unlabelled target domains). */
export const UNLABELLED = -1;

/**
 * `dataset.safetensors`: pictures `pixels` U8 [n, 256, 256, 3] (RGB squares); texts `input_ids` I32 [n, 128] (zero-padded) and `lengths` I32 [n];
 * both `labels` I32 [n] (index into `labels`, −1 unlabelled) and `split` U8 [n] (0 train, 1 validation, 2 test). In a multi-label dataset `labels` is
 * −1 where nobody labelled the row, else 0, and `present` U8 [n, labels] is 1 where the row has the label.
 * `rows.jsonl`: one `FrozenRow` a line, in row order.
 */
export const FrozenRow = z.object({
  row: z.number().int().nonnegative(),
  file: z.string(),
  line: z.number().int().positive().optional(),
  /** Null in a multi-label dataset, whose rows have `labels`. */
  label: z.string().nullable(),
  /** Only in a multi-label dataset: all that the row has, none of them where it has none; null where nobody labelled it. */
  labels: z.array(z.string()).nullable().optional(),
  /** Task → label, in datasets with several tasks. */
  tasks: z.record(z.string(), z.string()).optional(),
  split: z.enum(SPLITS),
  sha256: z.string(),
});
export type FrozenRow = z.infer<typeof FrozenRow>;

export const DatasetManifest = z
  .object({
    format: z.literal('graft-dataset-1'),
    modality: z.enum(['image', 'text']),
    task: Task.default('single_label'),
    labels: z.array(z.string()),
    rows: z.number().int().nonnegative(),
    /** counts[split][label]: rows of the split that have the label. */
    counts: z.record(z.enum(SPLITS), z.record(z.string(), z.number().int())),
    /** Rows that nobody labelled; of a multi-label dataset those that have none of the labels are not among them. */
    unlabelled: z.number().int().nonnegative(),
    /** sha256 over the sha256 of `dataset.safetensors` and of `rows.jsonl`, hex, joined by a newline. */
    digest: z.string(),
    files: z.array(BlobFile),
    /** Datasets with several tasks: tensors `tasks.<i>` I32 [n] hold the labels of task i (−1: none); `labels` is the first task. */
    tasks: z
      .array(z.object({ name: z.string(), labels: z.array(z.string()), counts: z.record(z.string(), z.number().int()).default({}) }))
      .default([]),
    /** Rows that were left out, and warnings (duplicates, conflicts); the first 1,000. */
    errors: z.array(ErrorDetail),
    error_count: z.number().int().nonnegative(),
    /** How rows without a given split were divided. */
    split_seed: z.number().int(),
  })
  .meta({ id: 'DatasetManifest' });
export type DatasetManifest = z.infer<typeof DatasetManifest>;
