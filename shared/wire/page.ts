/** Lists: `?limit=&cursor=` in, `{object: "list", data, has_more, next_cursor}` out. */
import { z } from 'zod';
import { PAGE_DEFAULT, PAGE_MAX } from '../limits.ts';

export const PageQuery = z.object({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(PAGE_MAX)
    .default(PAGE_DEFAULT)
    .meta({ description: `How many to answer, 1 to ${PAGE_MAX}.` }),
  cursor: z.string().min(1).max(200).optional().meta({ description: '`next_cursor` of the page before.' }),
});
export type PageQuery = z.infer<typeof PageQuery>;

/** The same for lists that are short enough to be answered whole: that is what they are without a limit. */
export const WholeQuery = PageQuery.extend({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(PAGE_MAX)
    .optional()
    .meta({ description: `How many to answer, 1 to ${PAGE_MAX}. Default: all.` }),
});
export type WholeQuery = z.infer<typeof WholeQuery>;

/** The schema of one page of `item`; `id` names the OpenAPI component. */
export function listOf<Item extends z.ZodType>(item: Item, id: string) {
  return z
    .object({
      object: z.literal('list'),
      data: z.array(item),
      has_more: z.boolean(),
      next_cursor: z.string().nullable(),
    })
    .meta({ id });
}
