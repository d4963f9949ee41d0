/** `/v1/classifiers/{id}/examples`. */
import { EnrollRequest } from '../../../shared/wire/examples.ts';
import { tenantOf } from '../../http/auth.ts';
import { formOf } from '../../http/forms.ts';
import { listAnswer, pageOf } from '../../http/pages.ts';
import { jsonBody } from '../../http/route-parts.ts';
import { newRouter } from '../../http/router.ts';
import { loadClassifier } from '../../usecases/classifiers/load-classifier.ts';
import { enrollExamples } from '../../usecases/examples/enroll-examples.ts';
import { deleteExample, getExample, listExamples, relabelExample } from '../../usecases/examples/examples.ts';
import * as routes from './definition.ts';
import { fromForm, fromJson } from './read-enrollment.ts';

export const examplesRoutes = newRouter()
  .openapi(routes.enrollExamplesRoute, async (c) => {
    const classifier = await loadClassifier(c.get('deps'), tenantOf(c), c.req.valid('param').id);
    const isForm = c.req.header('content-type')?.toLowerCase().startsWith('multipart/');
    const { items, at } = isForm ? await fromForm(await formOf(c), classifier) : fromJson(jsonBody(c, EnrollRequest), classifier);
    return c.json(await enrollExamples(c.get('deps'), classifier, items, at), 201);
  })
  .openapi(routes.listExamplesRoute, async (c) => {
    const query = c.req.valid('query');
    const page = { ...pageOf(query, 'example'), label: query.label ?? null };
    const { data, hasMore } = await listExamples(c.get('deps'), tenantOf(c), c.req.valid('param').id, page);
    return c.json(listAnswer(data, hasMore, data.at(-1)?.id ?? null), 200);
  })
  .openapi(routes.getExampleRoute, async (c) => {
    const { id, example } = c.req.valid('param');
    return c.json(await getExample(c.get('deps'), tenantOf(c), id, example), 200);
  })
  .openapi(routes.relabelExampleRoute, async (c) => {
    const { id, example } = c.req.valid('param');
    return c.json(await relabelExample(c.get('deps'), tenantOf(c), id, example, c.req.valid('json')), 200);
  })
  .openapi(routes.deleteExampleRoute, async (c) => {
    const { id, example } = c.req.valid('param');
    return c.json(await deleteExample(c.get('deps'), tenantOf(c), id, example), 200);
  });
