/** `POST /v1/classifiers/{id}/adapt`. */
import { tenantOf } from '../../http/auth.ts';
import { newRouter } from '../../http/router.ts';
import { adaptClassifier } from '../../usecases/adaptation/adapt-classifier.ts';
import { adaptRoute } from './definition.ts';

export const adaptationRoutes = newRouter().openapi(adaptRoute, async (c) =>
  c.json(await adaptClassifier(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id, request: c.req.valid('json') }), 200),
);
