/** Bodies of the health calls. */
import { z } from 'zod';

export const Health = z.object({ ok: z.literal(true) }).meta({ id: 'Health' });

export const Readiness = z
  .object({ ready: z.boolean(), parts: z.array(z.object({ name: z.string(), ready: z.boolean(), detail: z.string().nullable() })) })
  .meta({ id: 'Readiness' });
export type Readiness = z.infer<typeof Readiness>;
