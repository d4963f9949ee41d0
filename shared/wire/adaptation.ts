/** Body of `POST /v1/classifiers/{id}/adapt`: inputs of the domain to adapt to. */
import { z } from 'zod';
import { BATCH_MAX_INPUTS } from '../limits.ts';
import { LabelName } from './classifiers.ts';
import { inputCount, inputFields, ONE_INPUT } from './inputs.ts';

export const TargetInput = z
  .strictObject({
    ...inputFields,
    label: LabelName.optional().meta({ description: 'Where you know it. It judges the adaptation and is not enrolled.' }),
  })
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
