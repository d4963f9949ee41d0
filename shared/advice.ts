/** What the trainer advises before anything is trained: what, when and how to transfer, with the figures that say so. */
import { z } from 'zod';
import { MethodType } from './jobs.ts';

const Range = z.object({ low: z.number(), high: z.number() });

/** One backbone judged on the labelled rows. `accuracy`: cross-validated, of a head on the frozen embedding. */
export const BackboneAdvice = z
  .object({
    backbone: z.string(),
    accuracy: z.number().nullable(),
    interval: Range.nullable(),
    /** Log maximum evidence (You et al. 2021) and H-score (Bao et al. 2019) of the embedding for the labels. */
    log_me: z.number().nullable(),
    h_score: z.number().nullable(),
    /** Secondary: expected empirical prediction over the backbone's own classes (Nguyen et al. 2020); null where it has none. */
    leep: z.number().nullable(),
    embed_seconds: z.number(),
  })
  .meta({ id: 'BackboneAdvice' });

/** `measured`: a trial on these rows took part in it; `prior`: what was measured on other data. */
const Basis = z.enum(['measured', 'prior']);

/** A short trial on the same rows: the share that is answered right without and with what was tried; `interval`: 95 %, of the difference. */
const Trial = z.object({
  what: z.enum(['tuning', 'aligning']),
  rows: z.number().int(),
  without: z.number(),
  with: z.number(),
  difference: z.number(),
  interval: Range,
  seconds: z.number(),
});

export const CurvePoint = z.object({ examples_per_class: z.number(), accuracy: z.number(), interval: Range, measured: z.boolean() });

export const Advice = z
  .object({
    /** In a few plain sentences: what to transfer, when (or not yet), how. */
    summary: z.string(),
    what: z.object({ backbone: z.string(), layers: z.enum(['head', 'last_blocks', 'full']), because: z.string() }),
    when: z.object({ verdict: z.enum(['now', 'not_yet', 'do_not']), because: z.string(), examples_needed: z.number().int().nullable() }),
    how: z.object({ method: MethodType, options: z.record(z.string(), z.unknown()), because: z.string() }),
    expected: z.object({
      accuracy: z.number(),
      interval: Range,
      gain_over_frozen: z.number(),
      seconds: z.number(),
      device: z.string(),
      basis: Basis.default('prior'),
    }),
    backbones: z.array(BackboneAdvice),
    learning_curve: z.array(CurvePoint),
    /** Between source and target; null without a target. `kind`: near or far transfer. */
    distance: z
      .object({
        proxy_a: z.number(),
        mmd: z.number(),
        mmd_p_value: z.number(),
        coral: z.number(),
        kind: z.enum(['near', 'moderate', 'far']),
        because: z.string(),
      })
      .nullable(),
    label_noise: z.number().nullable(),
    /** Costs of the methods considered, with what each is expected to bring. */
    options: z.array(
      z.object({
        method: MethodType,
        options: z.record(z.string(), z.unknown()),
        expected_accuracy: z.number(),
        interval: Range,
        seconds: z.number(),
        basis: Basis.default('prior'),
        because: z.string(),
      }),
    ),
    trials: z.array(Trial).default([]),
    notes: z.array(z.string()),
  })
  .meta({ id: 'Advice' });
export type Advice = z.infer<typeof Advice>;
