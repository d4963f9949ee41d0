/** Where work that waits for a trainer host stands, in jobs and datasets. */
import { z } from 'zod';

export const QueuePlace = z
  .object({
    /** 1 is next. */
    position: z.number().int(),
    /** When a host last asked for this kind of work or reported from some; null when none ever did. */
    hosts_seen_seconds_ago: z.number().nullable(),
  })
  .meta({ id: 'QueuePlace' });
export type QueuePlace = z.infer<typeof QueuePlace>;
