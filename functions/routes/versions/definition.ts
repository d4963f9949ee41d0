import { createRoute, z } from '@hono/zod-openapi';
import { Version } from '../../../shared/wire/classifiers.ts';
import { requireScope } from '../../http/auth.ts';
import { listOf, WholeQuery } from '../../http/pages.ts';
import { problemResponses } from '../../http/problems.ts';
import { jsonAnswer } from '../../http/route-parts.ts';

const tags = ['Versions'];
const versionParams = z.object({
  id: z.string(),
  n: z
    .string()
    .regex(/^[0-9]{1,9}$/)
    .transform(Number),
});

export const listVersionsRoute = createRoute({
  method: 'get',
  path: '/v1/classifiers/{id}/versions',
  operationId: 'listVersions',
  tags,
  summary: 'List the versions that are kept',
  middleware: [requireScope()],
  request: { params: z.object({ id: z.string() }), query: WholeQuery },
  responses: { 200: jsonAnswer(listOf(Version, 'ClassifierVersionList'), 'Newest first.'), ...problemResponses('not_found') },
});

export const getVersionRoute = createRoute({
  method: 'get',
  path: '/v1/classifiers/{id}/versions/{n}',
  operationId: 'getVersion',
  tags,
  summary: 'Get a version',
  middleware: [requireScope()],
  request: { params: versionParams },
  responses: { 200: jsonAnswer(Version, 'The version.'), ...problemResponses('not_found') },
});

export const activateVersionRoute = createRoute({
  method: 'post',
  path: '/v1/classifiers/{id}/versions/{n}/activate',
  operationId: 'activateVersion',
  tags,
  summary: 'Serve this version (also the rollback)',
  description:
    'One atomic step. A version that saw examples which were deleted since, or a refused candidate whose training rows are not among the examples, comes ' +
    'back as a new version (`kind: restored`, its `parent` is the one asked for); the answer is the version that is served.',
  middleware: [requireScope('enroll')],
  request: { params: versionParams },
  responses: { 200: jsonAnswer(Version, 'The version, now active.'), ...problemResponses('not_found', 'conflict', 'unprocessable') },
});

const binary = { schema: z.string().meta({ format: 'binary' }) };

export const exportVersionRoute = createRoute({
  method: 'get',
  path: '/v1/classifiers/{id}/versions/{n}/export',
  operationId: 'exportVersion',
  tags,
  summary: 'Download a version to run it elsewhere',
  description:
    '`onnx` with part=all: a zip with backbone and head in one graph, labels, preprocessing and a README; with part=head: one ONNX file from embedding ' +
    'to `logits`, `probabilities` and `unknown`. `tfjs`: a zip with a TensorFlow.js layers model of the head. `safetensors`: the head itself.',
  middleware: [requireScope('enroll', 'train')],
  request: {
    params: versionParams,
    query: z.object({
      format: z.enum(['onnx', 'tfjs', 'safetensors']),
      part: z.enum(['head', 'all']).optional().meta({ description: 'For onnx. Default: all where the classifier has a backbone, else head.' }),
    }),
  },
  responses: {
    200: { description: 'The file.', content: { 'application/octet-stream': binary, 'application/zip': binary } },
    ...problemResponses('not_found', 'nothing_to_predict', 'unprocessable'),
  },
});
