/** `/v1/tenants`: only the operator's key. */
import { newRouter } from '../../http/router.ts';
import { createKey } from '../../usecases/keys/create-key.ts';
import { createTenant } from '../../usecases/tenants/create-tenant.ts';
import { createTenantKeyRoute, createTenantRoute } from './definition.ts';

export const tenantsRoutes = newRouter()
  .openapi(createTenantRoute, async (c) => c.json(await createTenant(c.get('deps'), c.req.valid('json')), 201))
  .openapi(createTenantKeyRoute, async (c) => c.json(await createKey(c.get('deps'), c.req.valid('param').id, c.req.valid('json')), 201));
