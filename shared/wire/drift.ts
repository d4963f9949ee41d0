/** How far the inputs of predictions have moved from the enrolled ones. In the report, and in the event `classifier.drift_detected`. */
import { z } from 'zod';

/** `features`: the inputs lie elsewhere. `labels`: they come in another mix. `unknown`: more of them are unknown than promised. */
export const DriftCause = z.enum(['features', 'labels', 'unknown']);

export const DriftWindow = z.object({
  version: z.number().int(),
  predictions: z.number().int(),
  from: z.string(),
  to: z.string(),
  /**
   * `shift`: squared distance of the window's mean feature from that of the enrolled examples (in the window's mix of labels), over what chance would
   * make it; about 1 without drift. `distance`: the same distance in units of how far an input lies from its label's mean. null: too few examples.
   */
  features: z.object({ shift: z.number(), threshold: z.number(), distance: z.number() }).nullable(),
  /** Population stability index of the mix of labels against the traffic before; `threshold` null while there is only the enrolled mix. */
  labels: z.object({
    stability_index: z.number(),
    threshold: z.number().nullable(),
    reference: z.enum(['enrolled', 'traffic']),
    mix: z.array(z.object({ label: z.string(), share: z.number(), expected: z.number() })).meta({ description: 'The labels that changed most.' }),
  }),
  unknown: z
    .object({ share: z.number(), expected: z.number(), threshold: z.number() })
    .nullable()
    .meta({ description: 'Null: the classifier never answers unknown.' }),
});

export const Drift = z
  .object({
    status: z.enum(['collecting', 'normal', 'drifting']),
    causes: z.array(DriftCause),
    since: z.string().nullable(),
    collected: z.number().int().meta({ description: 'Predictions in the open window; it is judged at `window`.' }),
    window: z.number().int(),
    /** The last window that was judged. */
    last: DriftWindow.nullable(),
  })
  .meta({ id: 'Drift' });
export type Drift = z.infer<typeof Drift>;
