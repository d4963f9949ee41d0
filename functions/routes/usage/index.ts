/** `/v1/usage`. */
import { tenantOf } from '../../http/auth.ts';
import { newRouter } from '../../http/router.ts';
import { getUsage } from '../../usecases/usage/get-usage.ts';
import { getUsageRoute } from './definition.ts';

export const usageRoutes = newRouter().openapi(getUsageRoute, async (c) =>
  c.json(await getUsage(c.get('deps'), tenantOf(c), c.req.valid('query')), 200),
);
