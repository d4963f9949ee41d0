import { createRoute, z } from '@hono/zod-openapi';
import { CreateKey, Key, NewKey } from '../../../shared/wire/tenants.ts';
import { requireScope } from '../../http/auth.ts';
import { idempotent } from '../../http/idempotency.ts';
import { listOf, PageQuery } from '../../http/pages.ts';
import { problemResponses } from '../../http/problems.ts';
import { creationProblems, jsonAnswer, jsonInput } from '../../http/route-parts.ts';

export const KeyList = listOf(Key, 'KeyList');

export const createKeyRoute = createRoute({
  method: 'post',
  path: '/v1/keys',
  operationId: 'createKey',
  tags: ['Tenants and keys'],
  summary: 'Make a key',
  middleware: [requireScope('admin'), idempotent()],
  request: { body: jsonInput(CreateKey) },
  responses: { 201: jsonAnswer(NewKey, 'The key. Its secret is shown this once.'), ...creationProblems() },
});

export const listKeysRoute = createRoute({
  method: 'get',
  path: '/v1/keys',
  operationId: 'listKeys',
  tags: ['Tenants and keys'],
  summary: 'List the keys that were not revoked',
  middleware: [requireScope('admin')],
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(KeyList, 'One page, oldest first.'), ...problemResponses() },
});

export const revokeKeyRoute = createRoute({
  method: 'delete',
  path: '/v1/keys/{id}',
  operationId: 'revokeKey',
  tags: ['Tenants and keys'],
  summary: 'Revoke a key (everywhere within 60 seconds)',
  middleware: [requireScope('admin')],
  request: { params: z.object({ id: z.string() }) },
  responses: { 204: { description: 'Revoked.' }, ...problemResponses('not_found') },
});
