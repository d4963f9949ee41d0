/** `POST /v1/classifiers/{id}/predict`, `POST /v1/classifiers/{id}/verify` and `POST /v1/predict`. */
import type { Context } from 'hono';
import { PredictRequest, type Prediction } from '../../../shared/wire/predictions.ts';
import { tenantOf } from '../../http/auth.ts';
import { tellTimings } from '../../http/server-timing.ts';
import type { HttpEnv } from '../../http/context.ts';
import { listAnswer } from '../../http/pages.ts';
import { jsonBody } from '../../http/route-parts.ts';
import { newRouter } from '../../http/router.ts';
import { loadForPrediction } from '../../usecases/classifiers/load-classifier.ts';
import { afterPredictions } from '../../usecases/predict/after-prediction.ts';
import { predictMany } from '../../usecases/predict/predict-many.ts';
import { predict, type Answered, type Timings } from '../../usecases/predict/predict.ts';
import { recordPredictions } from '../../usecases/usage/record-predictions.ts';
import { verify } from '../../usecases/predict/verify.ts';
import { predictManyRoute, predictRoute, verifyRoute } from './definition.ts';
import { fromJson, fromRaw } from './read-prediction.ts';

/** Leaves what is to be done after the answer to the background, and answers the predictions alone. */
function settle(c: Context<HttpEnv>, answered: readonly Answered[], timings: Timings): Prediction[] {
  afterPredictions(c.get('deps'), tenantOf(c), answered, (work) => c.executionCtx.waitUntil(work));
  tellTimings(c, timings);
  return answered.map(({ prediction }) => prediction);
}

export const predictRoutes = newRouter()
  .openapi(predictRoute, async (c) => {
    const classifier = await loadForPrediction(c.get('deps'), tenantOf(c), c.req.valid('param').id);
    const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase() ?? '';
    const query = c.req.valid('query');
    const asked = type === 'application/json' ? fromJson(jsonBody(c, PredictRequest), query) : await fromRaw(c, type, query);
    const { answered, timings } = await predict(c.get('deps'), classifier, asked.inputs, (read) => read(classifier), asked.options);
    const predictions = settle(c, answered, timings);
    const [first] = predictions;
    return !asked.isList && first
      ? c.json(first, 200)
      : c.json({ ...listAnswer(predictions, false, null), has_more: false as const, next_cursor: null }, 200);
  })
  .openapi(predictManyRoute, async (c) => {
    const { answered, timings } = await predictMany(c.get('deps'), tenantOf(c), c.req.valid('json'));
    const predictions = settle(c, answered, timings);
    return c.json({ object: 'list' as const, data: predictions, has_more: false as const, next_cursor: null }, 200);
  })
  .openapi(verifyRoute, async (c) => {
    const classifier = await loadForPrediction(c.get('deps'), tenantOf(c), c.req.valid('param').id);
    const { verification, timings } = await verify(c.get('deps'), classifier, c.req.valid('json'));
    recordPredictions(c.get('deps'), tenantOf(c), 1, (work) => c.executionCtx.waitUntil(work));
    tellTimings(c, timings);
    return c.json(verification, 200);
  });
