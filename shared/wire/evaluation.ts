/** What a training job measured and what the gate decided: the `result` of a job, readable by people and by programs. */
import { z } from 'zod';

export const Interval = z.object({ low: z.number(), high: z.number() }).meta({ id: 'Interval' });
export type Interval = z.infer<typeof Interval>;

export const Estimate = z.object({ value: z.number(), interval: Interval }).meta({ id: 'Estimate' });
export type Estimate = z.infer<typeof Estimate>;

/** Of one contender on the held-out rows. */
export const Metrics = z
  .object({
    accuracy: Estimate.meta({
      description:
        "Share of rows answered right, with Wilson's 95 % interval. Of a multi-label model the share of exact matches: all labels of a row said, and no other.",
    }),
    macro_recall: Estimate.meta({ description: 'Mean over labels of the share of their rows that are found, with a bootstrap interval.' }),
    macro_f1: Estimate.nullable()
      .default(null)
      .meta({ description: 'Mean over labels of F1, with a bootstrap interval. Null in results of single-label jobs from before it was measured.' }),
    calibration_error: z.number().meta({
      description: 'Expected calibration error of the answers; of a multi-label model, of every label that it says is there.',
    }),
  })
  .meta({ id: 'Metrics' });
export type Metrics = z.infer<typeof Metrics>;

export const Contender = z.enum(['incumbent', 'frozen', 'baseline', 'zero_shot', 'scratch', 'source_only']).meta({ id: 'Contender' });
export type Contender = z.infer<typeof Contender>;

/** Candidate against one contender on the same rows. */
export const Comparison = z
  .object({
    against: Contender,
    on: z.enum(['all_rows', 'shared_labels']).meta({
      description: '`shared_labels`: only rows whose true label the incumbent knows; of a multi-label model all rows, by the labels that it knows.',
    }),
    rows: z.number().int(),
    difference: z.number().meta({
      description:
        'Accuracy (of a multi-label model: share of exact matches) of the candidate minus that of the contender, and its 95 % paired-bootstrap interval.',
    }),
    interval: Interval,
    probability_better: z.number().meta({ description: 'Share of resamples in which the candidate is better, ties counting half.' }),
    wins: z.number().int().meta({ description: 'Rows on which only the candidate, and only the contender, is right.' }),
    losses: z.number().int(),
    p_value: z.number().meta({ description: 'Exact one-sided sign test that the candidate is better.' }),
    macro_recall_difference: z.number(),
    macro_f1_difference: z
      .number()
      .nullable()
      .default(null)
      .meta({ description: 'Null in results of single-label jobs from before it was measured.' }),
  })
  .meta({ id: 'Comparison' });
export type Comparison = z.infer<typeof Comparison>;

export const Decision = z.enum(['promoted', 'refused', 'not_requested']).meta({ id: 'Decision' });
export type Decision = z.infer<typeof Decision>;

export const ReasonCode = z.enum([
  'better_than_incumbent',
  'better_than_baseline',
  'not_proven_better',
  'worse_than_incumbent',
  'worse_than_frozen',
  'worse_on_shared_labels',
  'worse_macro_recall',
  'worse_macro_f1',
  'worse_on_class',
  'forgets_labels',
  'no_held_out_rows',
  'small_held_out',
  'nothing_served',
  'new_labels',
  'better_than_frozen',
  'not_better_than_frozen',
  /** Adapting to the target cost accuracy: negative transfer. */
  'worse_than_source_only',
  'not_better_than_source_only',
  'better_than_source_only',
  /** Training from random weights does as well: transfer does not pay here. */
  'scratch_is_as_good',
  'better_than_scratch',
  /** The label names alone do better than what was learnt from examples. */
  'worse_than_zero_shot',
  'worse_calibration',
  /** The whole network is more than an isolate can hold. */
  'too_large_for_edge',
  /** Not worse by more than a point, and the served version needs a network of its own where the candidate needs none. */
  'equal_and_cheaper',
  'promotion_not_requested',
  'no_classifier',
  'incumbent_changed',
  'classifier_gone',
  'not_taken',
]);
export type ReasonCode = z.infer<typeof ReasonCode>;

/** `blocks`: this reason alone keeps the candidate from being promoted. `evidence` holds the numbers that the sentence quotes. */
export const Reason = z
  .object({ code: ReasonCode, blocks: z.boolean(), detail: z.string(), evidence: z.record(z.string(), z.unknown()) })
  .meta({ id: 'Reason' });
export type Reason = z.infer<typeof Reason>;

export const Evaluation = z
  .object({
    held_out: z.object({ split: z.enum(['validation', 'test']), rows: z.number().int(), labels: z.array(z.string()) }),
    candidate: Metrics,
    incumbent: Metrics.nullable(),
    frozen: Metrics,
    baseline: Metrics,
    zero_shot: Metrics.nullable(),
    scratch: Metrics.nullable(),
    source_only: Metrics.nullable(),
    comparisons: z.array(Comparison),
  })
  .meta({ id: 'Evaluation' });
export type Evaluation = z.infer<typeof Evaluation>;
