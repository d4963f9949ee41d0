/** Bodies of `/v1/classifiers/{id}/examples`. */
import { z } from 'zod';
import { BATCH_MAX_INPUTS } from '../limits.ts';
import { LabelName } from './classifiers.ts';
import { inputCount, inputFields, ONE_INPUT } from './inputs.ts';

export const LABELS_OF_ONE_MAX = 50;
const labels = z
  .array(LabelName)
  .max(LABELS_OF_ONE_MAX)
  .meta({ description: 'Instead of `label`, for multi-label classifiers: all that the input has, an empty list where it has none of them.' });

export const NewExample = z
  .strictObject({
    label: LabelName.optional(),
    labels: labels.optional(),
    ...inputFields,
    external_id: z.string().min(1).max(200).nullable().optional().meta({ description: "The caller's own name for it." }),
  })
  .refine((example) => (example.label === undefined) !== (example.labels === undefined), 'Give exactly one of "label" and "labels".')
  .refine((example) => inputCount(example) === 1, ONE_INPUT)
  .meta({ id: 'NewExample' });
export type NewExample = z.infer<typeof NewExample>;

export const EnrollRequest = z.strictObject({ examples: z.array(NewExample).min(1).max(BATCH_MAX_INPUTS) }).meta({ id: 'EnrollRequest' });
export type EnrollRequest = z.infer<typeof EnrollRequest>;

export const Warning = z.object({ code: z.string(), example_id: z.string().optional(), detail: z.string() }).meta({ id: 'ExampleWarning' });

export const EnrolledExample = z
  .object({
    object: z.literal('example'),
    id: z.string(),
    label: z.string(),
    labels: z.array(z.string()),
    external_id: z.string().nullable(),
    warnings: z.array(Warning),
  })
  .meta({ id: 'EnrolledExample' });

/** `version` holds all of them: pass it as `min_version` to read your own write. */
export const EnrollAnswer = z
  .object({ object: z.literal('list'), data: z.array(EnrolledExample), version: z.number().int() })
  .meta({ id: 'EnrollAnswer' });
export type EnrollAnswer = z.infer<typeof EnrollAnswer>;

export const Example = z
  .object({
    object: z.literal('example'),
    id: z.string(),
    label: z.string().meta({ description: 'The first of `labels`; empty where there is none.' }),
    labels: z.array(z.string()).meta({ description: 'Empty where it has none of the labels of a multi-label classifier.' }),
    source: z.enum(['enrolled', 'dataset']).meta({ description: '`dataset`: learnt in training; its original stays with the dataset.' }),
    sha256: z.string(),
    content_type: z.string().nullable(),
    external_id: z.string().nullable(),
    created_at: z.string(),
  })
  .meta({ id: 'Example' });
export type Example = z.infer<typeof Example>;

export const UpdateExample = z
  .strictObject({ label: LabelName.optional(), labels: labels.optional() })
  .refine((change) => (change.label === undefined) !== (change.labels === undefined), 'Give exactly one of "label" and "labels".')
  .meta({ id: 'UpdateExample' });
export type UpdateExample = z.infer<typeof UpdateExample>;

export const UpdatedExample = Example.extend({ version: z.number().int() }).meta({ id: 'UpdatedExample' });
export type UpdatedExample = z.infer<typeof UpdatedExample>;

export const DeletedExample = z
  .object({ object: z.literal('example'), id: z.string(), deleted: z.literal(true), version: z.number().int() })
  .meta({ id: 'DeletedExample' });
