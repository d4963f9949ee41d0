import { createRoute, z } from '@hono/zod-openapi';
import { AddBackboneRequest, Backbone, DeletedBackbone } from '../../../shared/wire/backbones.ts';
import { requireOperator, requireScope } from '../../http/auth.ts';
import { idempotent } from '../../http/idempotency.ts';
import { listOf, WholeQuery } from '../../http/pages.ts';
import { problemResponses } from '../../http/problems.ts';
import { accepts, creationProblems, jsonAnswer } from '../../http/route-parts.ts';

const tags = ['Backbones'];

export const listBackbonesRoute = createRoute({
  method: 'get',
  path: '/v1/backbones',
  operationId: 'listBackbones',
  tags,
  summary: 'The networks that classifiers stand on',
  middleware: [requireScope()],
  request: { query: WholeQuery },
  responses: { 200: jsonAnswer(listOf(Backbone, 'BackboneList'), 'All that are published.'), ...problemResponses() },
});

/** Parsed by read-backbone.ts. */
const formSchema = {
  type: 'object' as const,
  required: ['model', 'manifest'],
  properties: {
    model: { type: 'string' as const, contentMediaType: 'application/octet-stream', format: 'binary', description: 'The ONNX file.' },
    manifest: { type: 'string' as const, description: 'The other fields of the JSON body, as JSON.' },
  },
};

export const addBackboneRoute = createRoute({
  method: 'post',
  path: '/v1/backbones',
  operationId: 'addBackbone',
  tags,
  summary: 'Add a network to the catalogue (operator)',
  description:
    'An ONNX file of one input and one output, [1, dimension] float32, with the closed list of operators that docs/operations.md names. It is run before it ' +
    'is listed: the same input twice has to give the same finite values. Where it does not fit the edge, `serving.edge` is false and only training jobs use it.',
  middleware: [requireOperator(), accepts('application/json', 'multipart/form-data'), idempotent()],
  request: { body: { content: { 'application/json': { schema: AddBackboneRequest }, 'multipart/form-data': { schema: formSchema } } } },
  responses: {
    201: jsonAnswer(Backbone, 'The backbone, with what it takes.'),
    ...creationProblems('unprocessable', 'checksum_mismatch', 'dimension_mismatch', 'conflict'),
  },
});

export const removeBackboneRoute = createRoute({
  method: 'delete',
  path: '/v1/backbones/{id}',
  operationId: 'removeBackbone',
  tags,
  summary: 'Remove an added network that nothing stands on (operator)',
  middleware: [requireOperator()],
  request: { params: z.object({ id: z.string() }) },
  responses: { 200: jsonAnswer(DeletedBackbone, 'Removed.'), ...problemResponses('not_found', 'conflict') },
});
