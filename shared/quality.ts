/** The quality of a dataset, row by row: what validation finds by looking at embeddings, and what a job may leave out. */
import { z } from 'zod';

export const QualityCode = z
  .enum([
    'label_issue',
    'near_duplicate',
    'near_duplicate_across_splits',
    'conflicting_duplicate',
    'outlier',
    'tiny_picture',
    'blank_picture',
    'other_language',
    'encoding',
    'short_text',
  ])
  .meta({ id: 'QualityCode' });
export type QualityCode = z.infer<typeof QualityCode>;

/** What a job leaves out of its dataset: all rows with such a finding, or one row by its number in the report (`row`). */
export const Exclusion = z.union([QualityCode, z.number().int().nonnegative()]).meta({ id: 'Exclusion' });
export type Exclusion = z.infer<typeof Exclusion>;

/**
 * One finding about one row of the frozen dataset. `suggested`: the label that the other rows say, of several labels the one that is missing; `with`: the
 * row it repeats. Score: 0 … 1, higher is surer.
 */
export const QualityIssue = z
  .object({
    code: QualityCode,
    row: z.number().int().nonnegative(),
    score: z.number(),
    suggested: z.string().nullable().default(null),
    with: z.number().int().nonnegative().nullable().default(null),
    detail: z.string(),
  })
  .meta({ id: 'QualityIssue' });
export type QualityIssue = z.infer<typeof QualityIssue>;

/**
 * A line of `quality.jsonl`: the finding and where its rows came from in the upload. After them the rows of the upload that are not in the dataset (exact
 * copies, conflicting ones, damaged files and so on): `row` is null, and `code` that of the dataset's `errors`.
 */
export const DatasetIssue = QualityIssue.extend({
  code: z.union([QualityCode, z.string()]),
  row: z.number().int().nonnegative().nullable(),
  file: z.string(),
  line: z.number().int().nullable(),
  with_file: z.string().nullable(),
  with_line: z.number().int().nullable(),
}).meta({ id: 'DatasetIssue' });
export type DatasetIssue = z.infer<typeof DatasetIssue>;

/** What the engine answers to `inspect`. `summary` counts issues by code; `class_balance` and `shift` describe the whole. */
export const Inspection = z
  .object({
    rows: z.number().int(),
    backbone: z.string(),
    issues: z.array(QualityIssue),
    summary: z.record(z.string(), z.number().int()),
    /**
     * Estimated share of wrong labels (by maximum likelihood, Bootkrajang & Kabán 2012), of several labels of wrong decisions whether a row has one; null
     * where the rows cannot tell.
     */
    label_noise: z.number().nullable(),
    /** Of several labels: rows whose labels are all said and no other. */
    cross_validated_accuracy: z.number().nullable(),
    /** Over labels: of a multi-label dataset a row counts for each that it has. */
    class_balance: z.object({ smallest: z.number().int(), largest: z.number().int(), effective_classes: z.number() }).nullable(),
    /** How differently training and held-out rows lie: accuracy of a classifier that tells them apart (0.5: not at all). */
    split_shift: z.object({ auc: z.number(), p_value: z.number() }).nullable(),
  })
  .meta({ id: 'Inspection' });
export type Inspection = z.infer<typeof Inspection>;

/** What the host makes of it: `left_out` counts the rows of the upload that are not in the dataset, by code. */
export const InspectionSummary = Inspection.omit({ issues: true }).extend({ left_out: z.record(z.string(), z.number().int()).default({}) });
export type InspectionSummary = z.infer<typeof InspectionSummary>;
