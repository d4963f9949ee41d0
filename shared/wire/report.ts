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
    /** null before there are examples to leave out. `interval`: Wilson, 95 %. */
    left_out: z.object({ rows: z.number().int(), accuracy: Share, interval: Interval.nullable(), expected_calibration_error: z.number() }).nullable(),
    per_class: z.array(z.object({ label: z.string(), rows: z.number().int(), recall: Share.nullable(), precision: Share.nullable() })),
    confusion: z.array(z.object({ truth: z.string(), predicted: z.string(), count: z.number().int() })),
    reliability: z.array(z.object({ from: Share, to: Share, rows: z.number().int(), confidence: Share, accuracy: Share })),
    /** Examples that look as if they belong to another label, the surest first. */
    label_issues: z.array(z.object({ example_id: z.string(), label: z.string(), suggested: z.string(), probability: Share })),
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
    /** How many examples were compared pair by pair: of very many, some. Equal bytes are found among all. */
    near_duplicates_among: z.number().int(),
    balance: z.object({ smallest: z.number().int(), largest: z.number().int() }),
    /** Whether the inputs of predictions are still like the enrolled ones. */
    drift: Drift,
    /** The training in the background of large sets and of several labels: how far it is, or what it came to; null while there is none. */
    refinement: z.unknown(),
    /** What was tried for the head, and with what result. */
    evidence: z.unknown(),
  })
  .meta({ id: 'Report' });
export type Report = z.infer<typeof Report>;
