/** Body of `GET /v1/backbones`. */
import { z } from 'zod';
import { Preprocessing } from '../catalogue.ts';

export const Backbone = z
  .object({
    object: z.literal('backbone'),
    id: z.string(),
    modality: z.enum(['image', 'text']),
    dimension: z.number().int(),
    version: z.string(),
    license: z.string(),
    source: z.string(),
    sha256: z.string(),
    preprocessing: Preprocessing,
    accuracy: z.string(),
    serving: z.object({ bytes: z.number().int(), edge: z.boolean() }),
  })
  .meta({ id: 'Backbone' });
export type Backbone = z.infer<typeof Backbone>;
