/** `/v1/classifiers/{id}/versions`. */
import { tenantOf } from '../../http/auth.ts';
import { bodyOf } from '../../http/download.ts';
import { pageOfWhole } from '../../http/pages.ts';
import { newRouter } from '../../http/router.ts';
import { exportVersion } from '../../usecases/versions/export-version.ts';
import { activateVersion, getVersion, listVersions } from '../../usecases/versions/versions.ts';
import { activateVersionRoute, exportVersionRoute, getVersionRoute, listVersionsRoute } from './definition.ts';

export const versionsRoutes = newRouter()
  .openapi(listVersionsRoute, async (c) =>
    c.json(
      pageOfWhole(await listVersions(c.get('deps'), tenantOf(c), c.req.valid('param').id), c.req.valid('query'), (v) => String(v.n)),
      200,
    ),
  )
  .openapi(getVersionRoute, async (c) => {
    const { id, n } = c.req.valid('param');
    return c.json(await getVersion(c.get('deps'), tenantOf(c), id, n), 200);
  })
  .openapi(activateVersionRoute, async (c) => {
    const { id, n } = c.req.valid('param');
    return c.json(await activateVersion(c.get('deps'), tenantOf(c), id, n), 200);
  })
  .openapi(exportVersionRoute, async (c) => {
    const { format, part } = c.req.valid('query');
    const file = await exportVersion(c.get('deps'), { tenant: tenantOf(c), ...c.req.valid('param'), format, part });
    return c.body(bodyOf(file.chunks, file.bytes), 200, {
      'content-type': file.type,
      'content-length': String(file.bytes),
      // Made of an id and a number, so it needs no quoting.
      'content-disposition': `attachment; filename="${file.name}"`,
    });
  });
