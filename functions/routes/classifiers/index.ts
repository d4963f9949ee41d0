/** `/v1/classifiers`. */
import { tenantOf } from '../../http/auth.ts';
import { listAnswer, pageOf } from '../../http/pages.ts';
import { newRouter } from '../../http/router.ts';
import { createClassifier } from '../../usecases/classifiers/create-classifier.ts';
import { deleteClassifier } from '../../usecases/classifiers/delete-classifier.ts';
import { getClassifier } from '../../usecases/classifiers/get-classifier.ts';
import { getReport } from '../../usecases/classifiers/get-report.ts';
import { listClassifiers } from '../../usecases/classifiers/list-classifiers.ts';
import { updateClassifier } from '../../usecases/classifiers/update-classifier.ts';
import * as routes from './definition.ts';

export const classifiersRoutes = newRouter()
  .openapi(routes.createClassifierRoute, async (c) => c.json(await createClassifier(c.get('deps'), tenantOf(c), c.req.valid('json')), 201))
  .openapi(routes.listClassifiersRoute, async (c) => {
    const { data, hasMore, lastId } = await listClassifiers(c.get('deps'), tenantOf(c), pageOf(c.req.valid('query'), 'classifier'));
    return c.json(listAnswer(data, hasMore, lastId), 200);
  })
  .openapi(routes.getClassifierRoute, async (c) => c.json(await getClassifier(c.get('deps'), tenantOf(c), c.req.valid('param').id), 200))
  .openapi(routes.updateClassifierRoute, async (c) =>
    c.json(await updateClassifier(c.get('deps'), tenantOf(c), c.req.valid('param').id, c.req.valid('json')), 200),
  )
  .openapi(routes.deleteClassifierRoute, async (c) => {
    const { id } = c.req.valid('param');
    await deleteClassifier(c.get('deps'), tenantOf(c), id);
    return c.json({ object: 'classifier' as const, id, deleted: true as const }, 200);
  })
  .openapi(routes.getReportRoute, async (c) => c.json(await getReport(c.get('deps'), tenantOf(c), c.req.valid('param').id), 200));
