/** A verified completion on its way: written before the durable object is asked, so that a crash in between can be carried to the same end. */
import { z } from 'zod';
import { JobResult } from '../../../shared/wire/jobs.ts';

export const PendingCompletion = z.object({
  model: z.string(),
  /** When it was verified, milliseconds. */
  since: z.number().int(),
  /** As the gate decided; the durable object may still turn a promotion into a refusal. */
  result: JobResult,
  /** What the durable object is asked to take; null without a classifier. */
  take: z
    .object({
      classifier: z.string(),
      backbone: z.string(),
      headKey: z.string(),
      embeddingsKey: z.string(),
      datasetId: z.string(),
      enrolledIds: z.array(z.string()),
      comparedWith: z.number().int(),
    })
    .nullable(),
});
export type PendingCompletion = z.infer<typeof PendingCompletion>;
