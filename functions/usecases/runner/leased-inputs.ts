/** What was served when a job was leased: the gate compares with that, and the durable object activates only if it is still so. */
import { z } from 'zod';

export const LeasedInputs = z.object({
  /** The classifier's active version; null without a classifier. */
  version: z.number().int().nullable(),
  /** Labels of the head that it served; null when it served none. */
  labels: z.array(z.string()).nullable(),
  /** What that head needs beside the shared backbone; null when none was served. */
  network: z.enum(['base', 'tail', 'whole']).nullable().default(null),
  /** That head is of the classifier that is transferred from: the job's own serves none. */
  fromSource: z.boolean().default(false),
});
export type LeasedInputs = z.infer<typeof LeasedInputs>;
