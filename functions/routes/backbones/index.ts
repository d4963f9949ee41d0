/** `/v1/backbones`: the catalogue. */
import { createRoute } from '@hono/zod-openapi';
import { Backbone } from '../../../shared/wire/backbones.ts';
import { requireScope } from '../../http/auth.ts';
import { listAnswer, listOf } from '../../http/pages.ts';
import { problemResponses } from '../../http/problems.ts';
import { jsonAnswer } from '../../http/route-parts.ts';
import { newRouter } from '../../http/router.ts';
import { listBackbones } from '../../usecases/backbones/list-backbones.ts';

const listBackbonesRoute = createRoute({
  method: 'get',
  path: '/v1/backbones',
  operationId: 'listBackbones',
  tags: ['Backbones'],
  summary: 'The networks that classifiers stand on',
  middleware: [requireScope()],
  responses: { 200: jsonAnswer(listOf(Backbone, 'BackboneList'), 'All that are published.'), ...problemResponses() },
});

export const backbonesRoutes = newRouter().openapi(listBackbonesRoute, async (c) =>
  c.json(listAnswer(await listBackbones(c.get('deps')), false, null), 200),
);
