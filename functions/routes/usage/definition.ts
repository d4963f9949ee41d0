import { createRoute } from '@hono/zod-openapi';
import { Usage, UsageQuery } from '../../../shared/wire/usage.ts';
import { requireScope } from '../../http/auth.ts';
import { problemResponses } from '../../http/problems.ts';
import { jsonAnswer } from '../../http/route-parts.ts';

export const getUsageRoute = createRoute({
  method: 'get',
  path: '/v1/usage',
  operationId: 'getUsage',
  tags: ['Tenants and keys'],
  summary: 'What the tenant used, by UTC day',
  middleware: [requireScope()],
  request: { query: UsageQuery },
  responses: { 200: jsonAnswer(Usage, 'Totals and days.'), ...problemResponses() },
});
