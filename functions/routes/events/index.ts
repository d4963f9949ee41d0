/** `/v1/events`. */
import { createRoute } from '@hono/zod-openapi';
import { EVENTS_KEPT_DAYS } from '../../../shared/limits.ts';
import { Event } from '../../../shared/wire/webhooks.ts';
import { requireScope, tenantOf } from '../../http/auth.ts';
import { listOf, PageQuery, pageOf, toList } from '../../http/pages.ts';
import { problemResponses } from '../../http/problems.ts';
import { jsonAnswer } from '../../http/route-parts.ts';
import { newRouter } from '../../http/router.ts';
import { listEvents } from '../../usecases/events/list-events.ts';

const listEventsRoute = createRoute({
  method: 'get',
  path: '/v1/events',
  operationId: 'listEvents',
  tags: ['Events and webhooks'],
  summary: 'List what happened',
  description: `Events are kept for ${EVENTS_KEPT_DAYS} days.`,
  middleware: [requireScope('train', 'enroll')],
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(listOf(Event, 'EventList'), 'One page, newest first.'), ...problemResponses() },
});

export const eventsRoutes = newRouter().openapi(listEventsRoute, async (c) => {
  const page = pageOf(c.req.valid('query'), 'event');
  const rows = await listEvents(c.get('deps'), { tenant: tenantOf(c), page });
  return c.json(
    toList(rows, page.limit, (event) => event),
    200,
  );
});
