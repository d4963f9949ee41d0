import { createRoute, z } from '@hono/zod-openapi';
import {
  InferRequest,
  InferResponse,
  ModelMetadata,
  ModelReady,
  ServerLive,
  ServerMetadata,
  ServerReady,
} from '../../../shared/wire/inference-protocol.ts';
import { requireScope } from '../../http/auth.ts';
import { problemResponses, publicProblemResponses } from '../../http/problems.ts';
import { bodyProblems, jsonAnswer, jsonInput } from '../../http/route-parts.ts';

const tags = ['Open Inference Protocol'];
const open = { tags, security: [] };
const model = z.object({ id: z.string() });
// Any text: a version that is no number is told like one that does not exist, after the body was read.
const version = z.object({ id: z.string(), n: z.string() });
const metadata = { 200: jsonAnswer(ModelMetadata, 'Its versions, inputs and outputs.'), ...problemResponses('not_found') };
const ready = {
  200: jsonAnswer(ModelReady, 'It is; a model with nothing to answer with is a 409.'),
  ...problemResponses('not_found', 'nothing_to_predict'),
};
const answers = {
  200: jsonAnswer(InferResponse, '`label`, `scores` and `embedding`; of several labels an input also `labels`.'),
  ...bodyProblems(
    'not_found',
    'nothing_to_predict',
    'picture_invalid',
    'picture_truncated',
    'picture_too_large',
    'dimension_mismatch',
    'unprocessable',
  ),
};
const body = jsonInput(InferRequest);
const any = [requireScope()];
const predict = [requireScope('predict')];

export const serverRoute = createRoute({
  method: 'get',
  path: '/v2',
  operationId: 'inferenceServer',
  summary: 'Server metadata',
  ...open,
  responses: { 200: jsonAnswer(ServerMetadata, 'Name and version.'), ...publicProblemResponses() },
});

export const liveRoute = createRoute({
  method: 'get',
  path: '/v2/health/live',
  operationId: 'inferenceLive',
  summary: 'Is the server alive?',
  ...open,
  responses: { 200: jsonAnswer(ServerLive, 'It is.'), ...publicProblemResponses() },
});

export const readyRoute = createRoute({
  method: 'get',
  path: '/v2/health/ready',
  operationId: 'inferenceReady',
  summary: 'Can the server serve?',
  ...open,
  responses: {
    200: jsonAnswer(ServerReady, 'It can.'),
    503: jsonAnswer(ServerReady, 'A part is missing: see /readyz.'),
    ...publicProblemResponses(),
  },
});

export const modelRoute = createRoute({
  method: 'get',
  path: '/v2/models/{id}',
  operationId: 'inferenceModel',
  tags,
  summary: 'Model metadata',
  middleware: any,
  request: { params: model },
  responses: metadata,
});

export const modelReadyRoute = createRoute({
  method: 'get',
  path: '/v2/models/{id}/ready',
  operationId: 'inferenceModelReady',
  tags,
  summary: 'Can the model answer?',
  middleware: any,
  request: { params: model },
  responses: ready,
});

export const inferRoute = createRoute({
  method: 'post',
  path: '/v2/models/{id}/infer',
  operationId: 'infer',
  tags,
  summary: 'Infer with the active version',
  middleware: predict,
  request: { params: model, body },
  responses: answers,
});

export const versionRoute = createRoute({
  method: 'get',
  path: '/v2/models/{id}/versions/{n}',
  operationId: 'inferenceModelVersion',
  tags,
  summary: 'Metadata of one version',
  middleware: any,
  request: { params: version },
  responses: metadata,
});

export const versionReadyRoute = createRoute({
  method: 'get',
  path: '/v2/models/{id}/versions/{n}/ready',
  operationId: 'inferenceModelVersionReady',
  tags,
  summary: 'Can the version answer?',
  middleware: any,
  request: { params: version },
  responses: ready,
});

export const inferVersionRoute = createRoute({
  method: 'post',
  path: '/v2/models/{id}/versions/{n}/infer',
  operationId: 'inferVersion',
  tags,
  summary: 'Infer with one version, active or not',
  middleware: predict,
  request: { params: version, body },
  responses: answers,
});
