/** Bodies of `POST /v1/classifiers/{id}/verify`: is this an input of that label? */
import { z } from 'zod';
import { LabelName } from './classifiers.ts';
import { inputCount, inputFields, ONE_INPUT } from './inputs.ts';

const DEFAULT_FALSE_ACCEPT_RATE = 0.01;

export const VerifyRequest = z
  .strictObject({
    label: LabelName,
    ...inputFields,
    false_accept_rate: z
      .number()
      .min(0.000_001)
      .max(0.5)
      .default(DEFAULT_FALSE_ACCEPT_RATE)
      .meta({ description: 'Share of inputs that are not of the label and may match all the same.' }),
  })
  .refine((request) => inputCount(request) === 1, ONE_INPUT)
  .meta({ id: 'VerifyRequest' });
export type VerifyRequest = z.infer<typeof VerifyRequest>;

export const Verification = z
  .object({
    object: z.literal('verification'),
    classifier: z.string(),
    version: z.number().int(),
    label: z.string(),
    match: z.boolean().meta({ description: 'Exactly when `similarity` is above `threshold`.' }),
    similarity: z.number().meta({ description: "Centred cosine to the label's most similar examples, the mean of three when it has as many." }),
    threshold: z.number(),
    false_accept_rate: z.number(),
    promised: z.boolean().meta({
      description: 'False: so low a rate cannot be shown with the impostors there are; the threshold is extrapolated and `detail` says from what.',
    }),
    impostors: z
      .number()
      .int()
      .meta({ description: 'Inputs known not to be of the label (background and examples of other labels) that the threshold rests on.' }),
    detail: z.string(),
  })
  .meta({ id: 'Verification' });
export type Verification = z.infer<typeof Verification>;
