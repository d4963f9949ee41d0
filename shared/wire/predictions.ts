/** Bodies of predictions. */
import { z } from 'zod';
import { BATCH_MAX_INPUTS, LABELS_MAX } from '../limits.ts';
import { inputCount, inputFields, ONE_INPUT } from './inputs.ts';

const topK = z.number().int().min(1).max(LABELS_MAX).optional().meta({ description: 'How many scores to answer. Default: all.' });
const minVersion = z.number().int().nonnegative().optional().meta({
  description:
    'Answer with this version or a later state: the `version` of an enrollment makes it visible here. A number that the classifier has not reached is refused as `unknown_version`; after a rollback the version gone back to is the later state.',
});

export const PredictInput = z
  .strictObject(inputFields)
  .refine((input) => inputCount(input) === 1, ONE_INPUT)
  .meta({ id: 'PredictInput' });

export const PredictRequest = z
  .strictObject({ ...inputFields, inputs: z.array(PredictInput).min(1).max(BATCH_MAX_INPUTS).optional(), top_k: topK, min_version: minVersion })
  .refine(
    (request) => inputCount(request) + (request.inputs === undefined ? 0 : 1) === 1,
    'Give exactly one of "image", "text", "vector" and "inputs".',
  )
  .meta({ id: 'PredictRequest' });
export type PredictRequest = z.infer<typeof PredictRequest>;

/** For raw bodies, where there is no JSON to put them in. */
export const PredictQuery = z.object({
  top_k: z.coerce.number().int().min(1).max(LABELS_MAX).optional(),
  min_version: z.coerce.number().int().nonnegative().optional(),
});
export type PredictQuery = z.infer<typeof PredictQuery>;

export const Prediction = z
  .object({
    object: z.literal('prediction'),
    classifier: z.string(),
    version: z.number().int(),
    label: z.string().nullable().meta({ description: 'Null exactly when `unknown`.' }),
    labels: z.array(z.string()).optional().meta({ description: 'Multi-label classifiers: every label that is present.' }),
    unknown: z.boolean(),
    confidence: z.number(),
    scores: z.array(z.object({ label: z.string(), score: z.number() })).meta({ description: 'Calibrated probabilities, in descending order.' }),
    nearest: z
      .object({ label: z.string(), similarity: z.number() })
      .nullable()
      .meta({ description: 'The enrolled example most like it; null before any example.' }),
  })
  .meta({ id: 'Prediction' });
export type Prediction = z.infer<typeof Prediction>;

export const PredictionList = z
  .object({ object: z.literal('list'), data: z.array(Prediction), has_more: z.literal(false), next_cursor: z.null() })
  .meta({ id: 'PredictionList' });
export type PredictionList = z.infer<typeof PredictionList>;

export const ManyPredictRequest = z
  .strictObject({
    classifiers: z.array(z.string()).min(1).max(BATCH_MAX_INPUTS).meta({ description: 'Of one modality and backbone.' }),
    ...inputFields,
    top_k: topK,
    min_versions: z
      .record(z.string(), z.number().int().nonnegative())
      .optional()
      .meta({ description: '`min_version` by the id of a classifier, for those that are to be answered with this version or a later state.' }),
  })
  .refine((request) => inputCount(request) === 1, ONE_INPUT)
  .refine(({ classifiers, min_versions }) => Object.keys(min_versions ?? {}).every((id) => classifiers.includes(id)), {
    message: 'Each key is one of "classifiers".',
    path: ['min_versions'],
  })
  .meta({ id: 'ManyPredictRequest' });
export type ManyPredictRequest = z.infer<typeof ManyPredictRequest>;
