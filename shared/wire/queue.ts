/** Where work that waits for a trainer host stands, in jobs and datasets. */
import { z } from 'zod';

export const QueuePlace = z
  .object({
    position: z.number().int().meta({
      description:
        '1 is next. Tenants take turns: whoever has least in work comes first, then whoever was served longest ago, then the older job or dataset. So the position can grow when another tenant asks for something.',
    }),
    hosts_seen_seconds_ago: z
      .number()
      .nullable()
      .meta({ description: 'When a host last asked for this kind of work or reported from some; null when none ever did.' }),
  })
  .meta({ id: 'QueuePlace' });
export type QueuePlace = z.infer<typeof QueuePlace>;
