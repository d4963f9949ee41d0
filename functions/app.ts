/** HTTP wiring only: what every request passes, then every room's routes. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { depsFor } from './deps.ts';
import { afterLongWork } from './http/after-long-work.ts';
import { limitBody } from './http/body-limit.ts';
import type { HttpEnv } from './http/context.ts';
import { plainJsonType } from './http/json-type.ts';
import { toProblem } from './http/problems.ts';
import { requestId } from './http/request-id.ts';
import { newRouter } from './http/router.ts';
import { unrouted } from './http/unrouted.ts';
import { datasetsRoutes } from './routes/datasets/index.ts';
import { eventsRoutes } from './routes/events/index.ts';
import { inferenceProtocolRoutes } from './routes/inference-protocol/index.ts';
import { jobsRoutes } from './routes/jobs/index.ts';
import { modelsRoutes } from './routes/models/index.ts';
import { runnerRoutes } from './routes/runner/index.ts';
import { uploadsRoutes } from './routes/uploads/index.ts';
import { webhooksRoutes } from './routes/webhooks/index.ts';
import { adaptationRoutes } from './routes/adaptation/index.ts';
import { backbonesRoutes } from './routes/backbones/index.ts';
import { classifiersRoutes } from './routes/classifiers/index.ts';
import { examplesRoutes } from './routes/examples/index.ts';
import { labelsRoutes } from './routes/labels/index.ts';
import { predictRoutes } from './routes/predict/index.ts';
import { reviewRoutes } from './routes/review/index.ts';
import { versionsRoutes } from './routes/versions/index.ts';
import { metaRoutes } from './routes/meta/index.ts';
import { keysRoutes } from './routes/keys/index.ts';
import { tenantsRoutes } from './routes/tenants/index.ts';
import { usageRoutes } from './routes/usage/index.ts';

export function makeApp(): OpenAPIHono<HttpEnv> {
  const app = newRouter();
  app.onError(toProblem);
  app.use(afterLongWork);
  app.use(requestId);
  app.use(async (c, next) => {
    c.set('deps', depsFor(c.env));
    await next();
  });
  app.use(plainJsonType);
  app.use(limitBody);
  app.route('/', tenantsRoutes).route('/', keysRoutes).route('/', usageRoutes);
  app.route('/', backbonesRoutes).route('/', classifiersRoutes).route('/', examplesRoutes).route('/', labelsRoutes);
  app.route('/', versionsRoutes).route('/', predictRoutes).route('/', adaptationRoutes).route('/', reviewRoutes);
  app.route('/', inferenceProtocolRoutes);
  app.route('/', datasetsRoutes).route('/', uploadsRoutes).route('/', jobsRoutes).route('/', modelsRoutes);
  app.route('/', eventsRoutes).route('/', webhooksRoutes).route('/', runnerRoutes);
  app.route('/', metaRoutes(app));
  app.notFound(unrouted(app));
  return app;
}
