/** `/v1/datasets`. */
import { tenantOf } from '../../http/auth.ts';
import { pageOf, toList } from '../../http/pages.ts';
import { newRouter } from '../../http/router.ts';
import { createDataset } from '../../usecases/datasets/create-dataset.ts';
import { deleteDataset } from '../../usecases/datasets/delete-dataset.ts';
import { getDataset } from '../../usecases/datasets/get-dataset.ts';
import { getQuality, openQualityFile } from '../../usecases/datasets/get-quality.ts';
import { listDatasets } from '../../usecases/datasets/list-datasets.ts';
import { createDatasetRoute, deleteDatasetRoute, getDatasetRoute, getQualityRoute, listDatasetsRoute, qualityFileRoute } from './definition.ts';

export const datasetsRoutes = newRouter()
  .openapi(createDatasetRoute, async (c) => {
    return c.json(await createDataset(c.get('deps'), { tenant: tenantOf(c), request: c.req.valid('json') }), 201);
  })
  .openapi(listDatasetsRoute, async (c) => {
    const page = pageOf(c.req.valid('query'), 'dataset');
    const rows = await listDatasets(c.get('deps'), { tenant: tenantOf(c), page });
    return c.json(
      toList(rows, page.limit, (dataset) => dataset),
      200,
    );
  })
  .openapi(getDatasetRoute, async (c) => c.json(await getDataset(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id }), 200))
  .openapi(getQualityRoute, async (c) => c.json(await getQuality(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id }), 200))
  .openapi(qualityFileRoute, async (c) => {
    const { id } = c.req.valid('param');
    const file = await openQualityFile(c.get('deps'), { tenant: tenantOf(c), id });
    return c.body(file?.body ?? '', 200, {
      'content-type': 'text/jsonl; charset=utf-8',
      'content-length': String(file?.bytes ?? 0),
      'content-disposition': `attachment; filename="${id}-quality.jsonl"`,
    });
  })
  .openapi(deleteDatasetRoute, async (c) => {
    await deleteDataset(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id });
    return c.body(null, 204);
  });
