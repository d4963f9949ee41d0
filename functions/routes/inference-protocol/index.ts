/** `/v2`: the Open Inference Protocol, in which a classifier is a model. */
import type { Context } from 'hono';
import type { InferRequest, InferResponse } from '../../../shared/wire/inference-protocol.ts';
import { missing } from '../../domain/missing.ts';
import { tenantOf } from '../../http/auth.ts';
import type { HttpEnv } from '../../http/context.ts';
import { newRouter } from '../../http/router.ts';
import { tellTimings } from '../../http/server-timing.ts';
import { checkModel, describeModel, type ModelAsked } from '../../usecases/inference-protocol/describe-model.ts';
import { infer } from '../../usecases/inference-protocol/infer.ts';
import { checkReadiness } from '../../usecases/meta/check-readiness.ts';
import { afterPredictions } from '../../usecases/predict/after-prediction.ts';
import { recordPredictions } from '../../usecases/usage/record-predictions.ts';
import * as routes from './definition.ts';

/** A version is named by its number; any other name is that of none. */
function asked({ id, n }: { id: string; n?: string }): ModelAsked {
  if (n !== undefined && !/^[0-9]{1,9}$/.test(n)) throw missing('version', n);
  return { id, n: n === undefined ? undefined : Number(n) };
}

async function inferred(c: Context<HttpEnv>, model: ModelAsked, request: InferRequest): Promise<InferResponse> {
  const [deps, tenant] = [c.get('deps'), tenantOf(c)];
  const { response, answered, timings, active } = await infer(deps, tenant, model, request);
  const background = (work: Promise<unknown>) => c.executionCtx.waitUntil(work);
  if (active) afterPredictions(deps, tenant, answered, background);
  else recordPredictions(deps, tenant, answered.length, background);
  tellTimings(c, timings);
  return response;
}

async function isReady(c: Context<HttpEnv>, model: ModelAsked): Promise<{ name: string; ready: true }> {
  await checkModel(c.get('deps'), tenantOf(c), model);
  return { name: model.id, ready: true };
}

export const inferenceProtocolRoutes = newRouter()
  .openapi(routes.serverRoute, (c) => c.json({ name: 'graft', version: '1', extensions: [] }, 200))
  .openapi(routes.liveRoute, (c) => c.json({ live: true as const }, 200))
  .openapi(routes.readyRoute, async (c) => {
    const { ready } = await checkReadiness(c.get('deps'));
    return ready ? c.json({ ready }, 200) : c.json({ ready }, 503);
  })
  .openapi(routes.modelRoute, async (c) => c.json(await describeModel(c.get('deps'), tenantOf(c), asked(c.req.valid('param'))), 200))
  .openapi(routes.modelReadyRoute, async (c) => c.json(await isReady(c, asked(c.req.valid('param'))), 200))
  .openapi(routes.inferRoute, async (c) => c.json(await inferred(c, asked(c.req.valid('param')), c.req.valid('json')), 200))
  .openapi(routes.versionRoute, async (c) => c.json(await describeModel(c.get('deps'), tenantOf(c), asked(c.req.valid('param'))), 200))
  .openapi(routes.versionReadyRoute, async (c) => c.json(await isReady(c, asked(c.req.valid('param'))), 200))
  .openapi(routes.inferVersionRoute, async (c) => c.json(await inferred(c, asked(c.req.valid('param')), c.req.valid('json')), 200));
