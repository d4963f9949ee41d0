/** Body of `GET /v1/classifiers/{id}/report`: every example is left out once and judged by a head that never saw it. */
import { z } from 'zod';
import { Drift } from './drift.ts';

const Share = z.number().min(0).max(1);
const Interval = z.object({ low: Share, high: Share });

export const Report = z
  .object({
    object: z.literal('report'),
    classifier: z.string(),
    version: z.number().int(),
    left_out: z
      .object({ rows: z.number().int(), accuracy: Share, interval: Interval.nullable(), expected_calibration_error: z.number() })
      .nullable()
      .meta({ description: 'Null before there are examples to leave out. `interval`: Wilson, 95 %.' }),
    per_class: z.array(z.object({ label: z.string(), rows: z.number().int(), recall: Share.nullable(), precision: Share.nullable() })),
    confusion: z.array(z.object({ truth: z.string(), predicted: z.string(), count: z.number().int() })),
    reliability: z.array(z.object({ from: Share, to: Share, rows: z.number().int(), confidence: Share, accuracy: Share })),
    label_issues: z
      .array(z.object({ example_id: z.string(), label: z.string(), suggested: z.string(), probability: Share }))
      .meta({ description: 'Examples that look as if they belong to another label, the surest first.' }),
    /** Examples that show the same thing, the surest first; `with` was enrolled before. `conflict`: not under the same labels. */
    near_duplicates: z.array(
      z.object({
        example_id: z.string(),
        labels: z.array(z.string()),
        with: z.string(),
        with_labels: z.array(z.string()),
        similarity: Share,
        same_bytes: z.boolean(),
        conflict: z.boolean(),
      }),
    ),
    near_duplicates_among: z
      .number()
      .int()
      .meta({ description: 'How many examples were compared pair by pair: of very many, some. Equal bytes are found among all.' }),
    balance: z.object({ smallest: z.number().int(), largest: z.number().int() }),
    /** Whether the inputs of predictions are still like the enrolled ones. */
    drift: Drift,
    refinement: z.unknown().meta({
      description: 'The training in the background of large sets and of several labels: how far it is, or what it came to; null while there is none.',
    }),
    evidence: z.unknown().meta({ description: 'What was tried for the head, and with what result.' }),
  })
  .meta({ id: 'Report' });
export type Report = z.infer<typeof Report>;
