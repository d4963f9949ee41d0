/** Body of `GET /v1/usage`: what a tenant used, by UTC day. */
import { z } from 'zod';

export const UsageQuery = z.object({
  from: z.iso.date().optional().meta({ description: 'First UTC day, YYYY-MM-DD. Default: 30 days before `to`.' }),
  to: z.iso.date().optional().meta({ description: 'Last UTC day, YYYY-MM-DD. Default: today.' }),
});
export type UsageQuery = z.infer<typeof UsageQuery>;

const Amounts = z.object({
  predictions: z.number().int(),
  enrollments: z.number().int(),
  training_seconds: z.number().int(),
});

export const Usage = Amounts.extend({
  object: z.literal('usage'),
  from: z.string(),
  to: z.string(),
  /** Bytes of the originals kept at the end of `to`. */
  stored_bytes: z.number().int(),
  days: z.array(Amounts.extend({ day: z.string() })),
}).meta({ id: 'Usage' });
export type Usage = z.infer<typeof Usage>;
