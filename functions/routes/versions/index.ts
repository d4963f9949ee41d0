/** `/v1/classifiers/{id}/versions`. */
import { tenantOf } from '../../http/auth.ts';
import { listAnswer } from '../../http/pages.ts';
import { newRouter } from '../../http/router.ts';
import { activateVersion, getVersion, listVersions } from '../../usecases/versions/versions.ts';
import { activateVersionRoute, getVersionRoute, listVersionsRoute } from './definition.ts';

export const versionsRoutes = newRouter()
  .openapi(listVersionsRoute, async (c) =>
    c.json(listAnswer(await listVersions(c.get('deps'), tenantOf(c), c.req.valid('param').id), false, null), 200),
  )
  .openapi(getVersionRoute, async (c) => {
    const { id, n } = c.req.valid('param');
    return c.json(await getVersion(c.get('deps'), tenantOf(c), id, n), 200);
  })
  .openapi(activateVersionRoute, async (c) => {
    const { id, n } = c.req.valid('param');
    return c.json(await activateVersion(c.get('deps'), tenantOf(c), id, n), 200);
  });
