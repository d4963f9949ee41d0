/** The review queue: inputs that a classifier was not sure of, kept until somebody says what they are. Bodies of `/v1/classifiers/{id}/review`. */
import { z } from 'zod';

export const ReviewRule = z
  .strictObject({
    sample_rate: z
      .number()
      .gt(0)
      .max(1)
      .default(1)
      .meta({ description: 'Share of the doubtful inputs that are kept. The same input is always kept or never.' }),
    max_items: z.number().int().min(1).max(1_000).default(200).meta({ description: 'How many may wait; the oldest are dropped.' }),
    below_confidence: z
      .number()
      .min(0)
      .max(1)
      .default(0.6)
      .meta({ description: 'Predictions less sure than this are kept. Unknown ones always are.' }),
  })
  .meta({ id: 'ReviewRule', description: 'Which predictions are kept for a person to look at, with their input. null: none.' });
export type ReviewRule = z.infer<typeof ReviewRule>;

/** What was answered for it. */
export const ReviewedPrediction = z.object({
  version: z.number().int(),
  label: z.string().nullable(),
  unknown: z.boolean(),
  confidence: z.number(),
  scores: z.array(z.object({ label: z.string(), score: z.number() })).meta({ description: 'The first few.' }),
  nearest: z.object({ label: z.string(), similarity: z.number() }).nullable(),
});
export type ReviewedPrediction = z.infer<typeof ReviewedPrediction>;

export const ReviewItem = z
  .object({
    object: z.literal('review_item'),
    id: z.string(),
    classifier: z.string(),
    prediction: ReviewedPrediction,
    sha256: z.string().meta({ description: "Of the input's bytes; of a vector: of its values as float32, little-endian." }),
    content_type: z.string().nullable(),
    original_url: z.string().nullable().meta({ description: 'Where the picture or text can be read for a quarter of an hour; null for vectors.' }),
    created_at: z.string(),
  })
  .meta({ id: 'ReviewItem' });
export type ReviewItem = z.infer<typeof ReviewItem>;

export const DeletedReviewItem = z
  .object({ object: z.literal('review_item'), id: z.string(), deleted: z.literal(true) })
  .meta({ id: 'DeletedReviewItem' });
