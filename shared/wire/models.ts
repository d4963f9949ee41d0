/** Bodies of `/v1/models`. */
import { z } from 'zod';

export const Model = z
  .object({
    object: z.literal('model'),
    id: z.string(),
    job: z.string(),
    classifier: z.string().nullable(),
    backbone: z.string().meta({ description: 'The catalogue backbone that it was tuned from.' }),
    modality: z.enum(['image', 'text']),
    dimension: z.number().int(),
    labels: z.array(z.string()),
    tuned: z.boolean().meta({ description: 'False when only heads were fitted and the plain backbone serves it.' }),
    seed: z.number().int(),
    dataset_digest: z.string().nullable(),
    files: z.array(z.object({ name: z.string(), sha256: z.string(), bytes: z.number().int() })),
    created_at: z.string(),
  })
  .meta({ id: 'Model' });
export type Model = z.infer<typeof Model>;
