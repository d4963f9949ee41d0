import { createRoute, z } from '@hono/zod-openapi';
import { Model } from '../../../shared/wire/models.ts';
import { requireScope } from '../../http/auth.ts';
import { listOf, PageQuery } from '../../http/pages.ts';
import { problemResponses } from '../../http/problems.ts';
import { jsonAnswer } from '../../http/route-parts.ts';

const tags = ['Models'];
const params = z.object({ id: z.string() });
const ModelList = listOf(Model, 'ModelList');

export const listModelsRoute = createRoute({
  method: 'get',
  path: '/v1/models',
  operationId: 'listModels',
  tags,
  summary: 'List trained models',
  middleware: [requireScope('train')],
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(ModelList, 'One page, newest first.'), ...problemResponses() },
});

export const getModelRoute = createRoute({
  method: 'get',
  path: '/v1/models/{id}',
  operationId: 'getModel',
  tags,
  summary: 'Read a model',
  middleware: [requireScope('train')],
  request: { params },
  responses: { 200: jsonAnswer(Model, 'The model.'), ...problemResponses('not_found') },
});

export const deleteModelRoute = createRoute({
  method: 'delete',
  path: '/v1/models/{id}',
  operationId: 'deleteModel',
  tags,
  summary: 'Delete a model with its files',
  middleware: [requireScope('train')],
  request: { params },
  responses: { 204: { description: 'Deleted.' }, ...problemResponses('not_found', 'conflict') },
});

export const modelFileRoute = createRoute({
  method: 'get',
  path: '/v1/models/{id}/files/{name}',
  operationId: 'downloadModelFile',
  tags,
  summary: 'Download one file of a model',
  middleware: [requireScope('train')],
  request: { params: z.object({ id: z.string(), name: z.string() }) },
  responses: {
    200: {
      description: 'The bytes, typed by the ending of the name.',
      content: {
        'application/octet-stream': { schema: z.string().meta({ format: 'binary' }) },
        'application/json': { schema: z.unknown() },
        'text/markdown': { schema: z.string() },
        'image/svg+xml': { schema: z.string() },
      },
    },
    ...problemResponses('not_found'),
  },
});
