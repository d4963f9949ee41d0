/** Bodies of `/v1/datasets` and its uploads. */
import { z } from 'zod';
import { DatasetIssue, InspectionSummary } from '../quality.ts';
import { Task } from '../catalogue.ts';
import { ErrorDetail } from '../errors.ts';
import { DatasetStatus } from '../jobs.ts';
import { idField } from './id-field.ts';
import { QueuePlace } from './queue.ts';

export const NAME_MAX_CHARS = 200;
const Name = z.string().trim().min(1).max(NAME_MAX_CHARS);

export const DatasetColumns = z.record(z.string().min(1).max(64), z.string().min(1).max(200)).meta({
  id: 'DatasetColumns',
  description:
    'What `text`, `image`, `label`, `labels` (multi-label), `split` and `tasks.<name>` are called in the file, where they are called otherwise.',
});
const COLUMN = /^(?:text|image|labels?|split|tasks\..+)$/;
/** A key that means nothing would be ignored, and its rows come out unlabelled. */
const NewColumns = DatasetColumns.superRefine((columns, context) => {
  for (const key of Object.keys(columns)) {
    if (COLUMN.test(key)) continue;
    const message = `"${key}" is none of "text", "image", "label", "labels", "split" and "tasks.<name>".`;
    context.addIssue({ code: 'custom', message, path: [key] });
  }
});

export const CreateDatasetRequest = z
  .union([
    z
      .strictObject({
        name: Name,
        modality: z.enum(['image', 'text']),
        task: Task.default('single_label').meta({
          description: '`multi_label`: a row has any number of labels, in `labels`; also none of them, which is not the same as not being labelled.',
        }),
        format: z.enum(['imagefolder', 'jsonl', 'csv']).meta({
          description:
            '`imagefolder`: a zip of label/picture or train|validation|test/label/picture. `jsonl`: `{"text", "label"}` a line, or in a zip ' +
            '`{"image", "label"}` beside the pictures; of a multi-label dataset `{"text", "labels": […]}`, where null means that nobody labelled it. ' +
            '`csv`: columns `text` and `label`, or `labels` with `|` between them.',
        }),
        columns: NewColumns.nullable().optional(),
      })
      .superRefine(({ task, columns }, context) => {
        const several = task === 'multi_label';
        for (const key of Object.keys(columns ?? {})) {
          if (several ? !key.startsWith('tasks.') : key !== 'labels') continue;
          const message = several ? 'Rows of a multi-label dataset have no tasks.' : '"labels" is a column of datasets whose task is "multi_label".';
          context.addIssue({ code: 'custom', message, path: ['columns', key] });
        }
      }),
    /** Made from the originals of a classifier's enrolled examples; needs no upload. */
    z.strictObject({ name: Name, from_classifier: idField('classifier') }),
  ])
  .meta({ id: 'CreateDatasetRequest' });
export type CreateDatasetRequest = z.infer<typeof CreateDatasetRequest>;

export const Dataset = z
  .object({
    object: z.literal('dataset'),
    id: z.string(),
    name: z.string(),
    modality: z.enum(['image', 'text']),
    task: Task,
    format: z.enum(['imagefolder', 'jsonl', 'csv', 'classifier']),
    columns: DatasetColumns.nullable(),
    from_classifier: z.string().nullable(),
    status: DatasetStatus,
    rows: z.number().int().nullable().meta({ description: 'Null until it is ready.' }),
    labels: z.array(z.string()).nullable(),
    counts: z
      .record(z.string(), z.record(z.string(), z.number().int()))
      .nullable()
      .meta({ description: 'counts[split][label]: rows of the split that have the label.' }),
    unlabelled: z
      .number()
      .int()
      .nullable()
      .meta({ description: 'Rows that nobody labelled; of a multi-label dataset those that have none of the labels are not among them.' }),
    tasks: z
      .array(z.object({ name: z.string(), labels: z.array(z.string()), counts: z.record(z.string(), z.number().int()) }))
      .nullable()
      .meta({ description: 'Of datasets whose rows answer several questions; `labels` and `counts` are those of the first.' }),
    digest: z.string().nullable(),
    errors: z.array(ErrorDetail).meta({ description: 'Rows that were left out and why, and warnings; the first 1,000 of `error_count`.' }),
    error_count: z.number().int(),
    upload_id: z.string().nullable(),
    /** Only of a dataset asked for by its id, while its validation waits for a host. */
    queue: QueuePlace.optional(),
    created_at: z.string(),
    ready_at: z.string().nullable(),
  })
  .meta({ id: 'Dataset' });
export type Dataset = z.infer<typeof Dataset>;

/** What was found by looking at every row through a frozen backbone. A job leaves findings out by their code or their `row` (`exclude`). */
export const DatasetQuality = InspectionSummary.extend({
  object: z.literal('dataset.quality'),
  dataset: z.string(),
  issues: z
    .array(DatasetIssue)
    .meta({ description: 'By code, surest first, then the rows that were left out; at most 1,000, the rest is in quality.jsonl.' }),
  has_more: z.boolean(),
}).meta({ id: 'DatasetQuality' });
export type DatasetQuality = z.infer<typeof DatasetQuality>;

export const CreateUploadRequest = z
  .strictObject({
    filename: z
      .string()
      .min(1)
      .max(255)
      // Becomes the last part of an object key: a name, never a path.
      .regex(
        // oxlint-disable-next-line no-control-regex
        /^(?!\.{1,2}$)[^/\\\u0000-\u001f\u007f\p{Cs}]+$/u,
        'must be a file name without slashes, control characters or half of a surrogate pair',
      ),
    bytes: z.number().int().min(1),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits')
      .nullable()
      .optional(),
  })
  .meta({ id: 'CreateUploadRequest' });
export type CreateUploadRequest = z.infer<typeof CreateUploadRequest>;

export const Upload = z
  .object({
    object: z.literal('dataset.upload'),
    upload_id: z.string(),
    dataset: z.string(),
    filename: z.string(),
    bytes: z.number().int(),
    status: z.enum(['open', 'completed', 'aborted']),
    part_bytes: z.number().int().meta({ description: 'Every part has this many bytes, but the last one, which has the rest.' }),
    parts: z.array(z.object({ number: z.number().int(), url: z.string() })),
    expires_at: z.string(),
    created_at: z.string(),
  })
  .meta({ id: 'DatasetUpload' });
export type Upload = z.infer<typeof Upload>;

export const CompleteUploadRequest = z
  .strictObject({
    parts: z
      .array(z.strictObject({ number: z.number().int().min(1).max(10_000), etag: z.string().min(1).max(200) }))
      .min(1)
      .max(10_000),
  })
  .meta({ id: 'CompleteUploadRequest' });
export type CompleteUploadRequest = z.infer<typeof CompleteUploadRequest>;
