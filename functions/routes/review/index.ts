/** `/v1/classifiers/{id}/review`. */
import { tenantOf } from '../../http/auth.ts';
import { listAnswer, pageOf } from '../../http/pages.ts';
import { newRouter } from '../../http/router.ts';
import { dropReviewItem, enrollReviewed, listReview } from '../../usecases/review/review-items.ts';
import * as routes from './definition.ts';

export const reviewRoutes = newRouter()
  .openapi(routes.listReviewRoute, async (c) => {
    const { data, hasMore } = await listReview(c.get('deps'), tenantOf(c), c.req.valid('param').id, pageOf(c.req.valid('query'), 'review'));
    return c.json(listAnswer(data, hasMore, data.at(-1)?.id ?? null), 200);
  })
  .openapi(routes.enrollReviewedRoute, async (c) => {
    const { id, item } = c.req.valid('param');
    return c.json(await enrollReviewed(c.get('deps'), tenantOf(c), id, item, c.req.valid('json')), 201);
  })
  .openapi(routes.dropReviewItemRoute, async (c) => {
    const { id, item } = c.req.valid('param');
    await dropReviewItem(c.get('deps'), tenantOf(c), id, item);
    return c.json({ object: 'review_item' as const, id: item, deleted: true as const }, 200);
  });
