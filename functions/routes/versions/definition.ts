import { createRoute, z } from '@hono/zod-openapi';
import { Version } from '../../../shared/wire/classifiers.ts';
import { requireScope } from '../../http/auth.ts';
import { listOf } from '../../http/pages.ts';
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
  request: { params: z.object({ id: z.string() }) },
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
  middleware: [requireScope('enroll')],
  request: { params: versionParams },
  responses: { 200: jsonAnswer(Version, 'The version, now active.'), ...problemResponses('not_found', 'conflict', 'unprocessable') },
});
