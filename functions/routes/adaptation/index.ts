/** `POST /v1/classifiers/{id}/adapt`. */
import { AdaptRequest } from '../../../shared/wire/adaptation.ts';
import { tenantOf } from '../../http/auth.ts';
import { formOf } from '../../http/forms.ts';
import { jsonBody } from '../../http/route-parts.ts';
import { newRouter } from '../../http/router.ts';
import { adaptClassifier } from '../../usecases/adaptation/adapt-classifier.ts';
import { loadClassifier } from '../../usecases/classifiers/load-classifier.ts';
import { adaptRoute } from './definition.ts';
import { fromForm, fromJson } from './read-target.ts';

export const adaptationRoutes = newRouter().openapi(adaptRoute, async (c) => {
  const deps = c.get('deps');
  const classifier = await loadClassifier(deps, tenantOf(c), c.req.valid('param').id);
  const isForm = c.req.header('content-type')?.toLowerCase().startsWith('multipart/');
  const target = isForm ? await fromForm(await formOf(c), classifier) : fromJson(jsonBody(c, AdaptRequest), classifier);
  return c.json(await adaptClassifier(deps, classifier, target), 200);
});
