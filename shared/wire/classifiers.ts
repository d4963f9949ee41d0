/** Bodies of `/v1/classifiers`, their labels and versions. */
import { z } from 'zod';
import { Modality, Task } from '../catalogue.ts';
import { ReviewRule } from './review.ts';
import { LABEL_NAME_MAX_CHARS, LABELS_MAX, VECTOR_MAX_DIMENSION } from '../limits.ts';

/**
 * Labels are compared exactly, so two spellings of one Unicode text must not make two labels: NFC, no blanks around, no control characters. They are
 * parts of paths, in which clients resolve "." and ".." before they send them.
 */
export const LabelName = z
  .string()
  .normalize('NFC')
  .trim()
  .min(1)
  .max(LABEL_NAME_MAX_CHARS)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'has control characters or half of a surrogate pair')
  .regex(/^(?!\.{1,2}$)/, 'cannot be "." or "..", which no path can name')
  .meta({ id: 'LabelName' });
export type LabelName = z.infer<typeof LabelName>;

export const LabelDescription = z.string().trim().max(1_000).nullable();

export const UnknownRule = z
  .strictObject({ false_reject_rate: z.number().min(0.001).max(0.5) })
  .meta({ id: 'UnknownRule', description: 'Share of known inputs that may be answered `unknown`.' });
export const DEFAULT_FALSE_REJECT_RATE = 0.05;

export const CreateClassifier = z
  .strictObject({
    name: z.string().trim().min(1).max(200),
    modality: Modality,
    backbone: z.string().max(100).optional().meta({
      description:
        'Default: the shipped backbone of the modality. A trained model of yours (mdl_…) too: new classes over its network. Not for vectors.',
    }),
    dimension: z.number().int().min(1).max(VECTOR_MAX_DIMENSION).optional().meta({ description: 'Needed for vectors, only for them.' }),
    task: Task.default('single_label'),
    labels: z
      .array(z.strictObject({ name: LabelName, description: LabelDescription.optional() }))
      .max(LABELS_MAX)
      .default([]),
    unknown: UnknownRule.nullable().default({ false_reject_rate: DEFAULT_FALSE_REJECT_RATE }).meta({ description: 'null: never answer unknown.' }),
    review: ReviewRule.nullable().default(null),
  })
  .meta({ id: 'CreateClassifier' });
export type CreateClassifier = z.infer<typeof CreateClassifier>;

export const UpdateClassifier = z
  .strictObject({
    name: z.string().trim().min(1).max(200).optional(),
    unknown: UnknownRule.nullable().optional(),
    review: ReviewRule.nullable().optional(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), 'Give "name", "unknown" or "review".')
  .meta({ id: 'UpdateClassifier' });
export type UpdateClassifier = z.infer<typeof UpdateClassifier>;

export const Label = z.object({ name: z.string(), description: z.string().nullable(), examples: z.number().int() }).meta({ id: 'Label' });
export type Label = z.infer<typeof Label>;

export const Classifier = z
  .object({
    object: z.literal('classifier'),
    id: z.string(),
    name: z.string(),
    modality: Modality,
    backbone: z.string().nullable(),
    dimension: z.number().int(),
    task: Task,
    unknown: UnknownRule.nullable(),
    /** Which predictions are kept for a person to look at; null: none. */
    review: ReviewRule.nullable(),
    version: z.number().int().meta({ description: 'The version being served.' }),
    model: z.string().nullable().meta({ description: 'The fine-tuned model that this version runs on; null for the plain backbone.' }),
    labels: z.array(Label),
    created_at: z.string(),
  })
  .meta({ id: 'Classifier' });
export type Classifier = z.infer<typeof Classifier>;

export const UpdateLabel = z
  .strictObject({ name: LabelName.optional(), description: LabelDescription.optional(), merge_into: LabelName.optional() })
  .refine((change) => Object.values(change).some((value) => value !== undefined), 'Give "name", "description" or "merge_into".')
  .refine((change) => change.merge_into === undefined || (change.name === undefined && change.description === undefined), {
    message: 'A label that is merged keeps neither name nor description; give "merge_into" alone.',
    path: ['merge_into'],
  })
  .meta({ id: 'UpdateLabel' });
export type UpdateLabel = z.infer<typeof UpdateLabel>;

/** The label as it is now (of a merge: the one merged into) and the version that answers so. */
export const UpdatedLabel = Label.extend({ object: z.literal('classifier.label'), version: z.number().int() }).meta({ id: 'UpdatedLabel' });
export type UpdatedLabel = z.infer<typeof UpdatedLabel>;

export const DeletedLabel = z
  .object({ object: z.literal('classifier.label'), name: z.string(), deleted: z.literal(true), version: z.number().int() })
  .meta({ id: 'DeletedLabel' });

export const Version = z
  .object({
    object: z.literal('classifier.version'),
    n: z.number().int(),
    kind: z.enum(['instant', 'adapted', 'trained', 'restored']),
    backbone: z.string().nullable(),
    model: z.string().nullable(),
    labels: z.array(z.string()),
    evidence: z.unknown().meta({ description: "Leave-one-out figures, candidates tried, the gate's comparison: what made this version." }),
    parent: z.number().int().nullable(),
    active: z.boolean(),
    created_at: z.string(),
  })
  .meta({ id: 'ClassifierVersion' });
export type Version = z.infer<typeof Version>;

export const DeletedClassifier = z
  .object({ object: z.literal('classifier'), id: z.string(), deleted: z.literal(true) })
  .meta({ id: 'DeletedClassifier' });
