/** Body of `POST /v1/classifiers/{id}/adapt`: inputs of the domain to adapt to. */
import { z } from 'zod';
import { BATCH_MAX_INPUTS } from '../limits.ts';
import { LabelName } from './classifiers.ts';
import { LABELS_OF_ONE_MAX } from './examples.ts';
import { inputCount, inputFields, ONE_INPUT } from './inputs.ts';

export const TargetInput = z
  .strictObject({
    ...inputFields,
    label: LabelName.optional().meta({ description: 'Where you know it. It judges the adaptation and is not enrolled.' }),
    labels: z.array(LabelName).max(LABELS_OF_ONE_MAX).optional().meta({
      description:
        'Instead of `label`, for multi-label classifiers: all that the input has, none where it has none of them. Without such labels nothing is adapted there.',
    }),
  })
  .refine((input) => input.label === undefined || input.labels === undefined, 'Give one of "label" and "labels", or neither.')
  .refine((input) => inputCount(input) === 1, ONE_INPUT)
  .meta({ id: 'TargetInput' });

export const AdaptRequest = z
  .strictObject({
    inputs: z.array(TargetInput).min(1).max(BATCH_MAX_INPUTS).optional().meta({
      description: 'Of the classifier’s own labels, in about the proportions in which they will be met. Two for each label are needed, at least 12.',
    }),
    dataset: z
      .string()
      .optional()
      .meta({
        description: `A ready dataset of the target domain. A seeded sample of at most ${BATCH_MAX_INPUTS} of its rows is read; test rows and rows of labels that the classifier does not have are left out, and labels of the others judge the adaptation.`,
      }),
  })
  .refine((request) => (request.inputs === undefined) !== (request.dataset === undefined), 'Give exactly one of "inputs" and "dataset".')
  .meta({ id: 'AdaptRequest' });
export type AdaptRequest = z.infer<typeof AdaptRequest>;
