/** Body of `GET /v1/usage`: what a tenant used, by UTC day. */
import { z } from 'zod';

const Day = z.union([z.iso.date(), z.iso.datetime({ offset: true })], 'must be a day (YYYY-MM-DD) or a time (ISO 8601)').optional();
export const UsageQuery = z.object({
  from: Day.meta({ description: 'First UTC day, YYYY-MM-DD, or a time in it. Default: 30 days before `to`.' }),
  to: Day.meta({ description: 'Last UTC day, YYYY-MM-DD, or a time in it. Default: today.' }),
});
export type UsageQuery = z.infer<typeof UsageQuery>;

const Amounts = z.object({
  predictions: z.number().int(),
  enrollments: z.number().int(),
  training_seconds: z.number().int().meta({
    description:
      'What jobs took on hosts: of a success the seconds of its result, and of attempts before it, of failed, cancelled and paused jobs the time that a host held them. What a fault of Graft took (a host that vanished, `blame: graft`) is not counted.',
  }),
});

export const Usage = Amounts.extend({
  object: z.literal('usage'),
  from: z.string(),
  to: z.string(),
  stored_bytes: z
    .number()
    .int()
    .meta({ description: 'Bytes kept at the end of `to`: originals of examples, uploads and frozen files of datasets, models and checkpoints.' }),
  days: z.array(Amounts.extend({ day: z.string() })),
}).meta({ id: 'Usage' });
export type Usage = z.infer<typeof Usage>;
