/** `/v1/models`. */
import { tenantOf } from '../../http/auth.ts';
import { pageOf, toList } from '../../http/pages.ts';
import { newRouter } from '../../http/router.ts';
import { deleteModel, getModel, listModels, openModelFile } from '../../usecases/models/models.ts';
import { deleteModelRoute, getModelRoute, listModelsRoute, modelFileRoute } from './definition.ts';

const TYPES: Readonly<Record<string, string>> = {
  json: 'application/json',
  md: 'text/markdown; charset=utf-8',
  svg: 'image/svg+xml',
};
const typeOf = (name: string): string => TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream';

export const modelsRoutes = newRouter()
  .openapi(listModelsRoute, async (c) => {
    const page = pageOf(c.req.valid('query'), 'model');
    const rows = await listModels(c.get('deps'), { tenant: tenantOf(c), page });
    return c.json(
      toList(rows, page.limit, (model) => model),
      200,
    );
  })
  .openapi(getModelRoute, async (c) => c.json(await getModel(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id }), 200))
  .openapi(deleteModelRoute, async (c) => {
    await deleteModel(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id });
    return c.body(null, 204);
  })
  .openapi(modelFileRoute, async (c) => {
    const { id, name } = c.req.valid('param');
    const file = await openModelFile(c.get('deps'), { tenant: tenantOf(c), id, name });
    return c.body(file.body, 200, {
      'content-type': typeOf(name),
      'x-content-type-options': 'nosniff',
      'content-length': String(file.bytes),
      // The name is one of the manifest's own file names, so it needs no quoting.
      'content-disposition': `attachment; filename="${name}"`,
    });
  });
