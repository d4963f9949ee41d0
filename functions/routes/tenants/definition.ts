import { createRoute, z } from '@hono/zod-openapi';
import { CreateKey, CreateTenant, NewKey, Tenant } from '../../../shared/wire/tenants.ts';
import { requireOperator } from '../../http/auth.ts';
import { idempotent } from '../../http/idempotency.ts';
import { creationProblems, jsonAnswer, jsonInput } from '../../http/route-parts.ts';

export const createTenantRoute = createRoute({
  method: 'post',
  path: '/v1/tenants',
  operationId: 'createTenant',
  tags: ['Tenants and keys'],
  summary: 'Make a tenant (operator)',
  middleware: [requireOperator(), idempotent()],
  request: { body: jsonInput(CreateTenant) },
  responses: { 201: jsonAnswer(Tenant, 'The tenant.'), ...creationProblems() },
});

export const createTenantKeyRoute = createRoute({
  method: 'post',
  path: '/v1/tenants/{id}/keys',
  operationId: 'createTenantKey',
  tags: ['Tenants and keys'],
  summary: 'Make a key of a tenant (operator)',
  middleware: [requireOperator(), idempotent()],
  request: { params: z.object({ id: z.string() }), body: jsonInput(CreateKey) },
  responses: {
    201: jsonAnswer(NewKey, 'The key. Its secret is shown this once.'),
    ...creationProblems('not_found'),
  },
});
