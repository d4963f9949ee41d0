/** `/v1/webhooks`. */
import { tenantOf } from '../../http/auth.ts';
import { pageOf, toList } from '../../http/pages.ts';
import { newRouter } from '../../http/router.ts';
import * as webhooks from '../../usecases/webhooks/manage-webhooks.ts';
import * as routes from './definition.ts';

export const webhooksRoutes = newRouter()
  .openapi(routes.createWebhookRoute, async (c) => {
    return c.json(await webhooks.createWebhook(c.get('deps'), { tenant: tenantOf(c), request: c.req.valid('json') }), 201);
  })
  .openapi(routes.listWebhooksRoute, async (c) => {
    const page = pageOf(c.req.valid('query'), 'webhook');
    const rows = await webhooks.listWebhooks(c.get('deps'), { tenant: tenantOf(c), page });
    return c.json(
      toList(rows, page.limit, (webhook) => webhook),
      200,
    );
  })
  .openapi(routes.getWebhookRoute, async (c) => {
    return c.json(await webhooks.getWebhook(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id }), 200);
  })
  .openapi(routes.updateWebhookRoute, async (c) => {
    const input = { tenant: tenantOf(c), id: c.req.valid('param').id, request: c.req.valid('json') };
    return c.json(await webhooks.updateWebhook(c.get('deps'), input), 200);
  })
  .openapi(routes.deleteWebhookRoute, async (c) => {
    await webhooks.deleteWebhook(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id });
    return c.body(null, 204);
  })
  .openapi(routes.rotateSecretRoute, async (c) => {
    return c.json(await webhooks.rotateSecret(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id }), 200);
  })
  .openapi(routes.testWebhookRoute, async (c) => {
    return c.json(await webhooks.testWebhook(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id }), 202);
  })
  .openapi(routes.listDeliveriesRoute, async (c) => {
    const page = pageOf(c.req.valid('query'), 'delivery');
    const rows = await webhooks.listDeliveries(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id, page });
    return c.json(
      toList(rows, page.limit, (delivery) => delivery),
      200,
    );
  })
  .openapi(routes.redeliverRoute, async (c) => {
    const { id, delivery } = c.req.valid('param');
    return c.json(await webhooks.redeliver(c.get('deps'), { tenant: tenantOf(c), id, delivery }), 202);
  });
