/** `/v1/keys`: a tenant's own keys. */
import { forgetKey, tenantOf } from '../../http/auth.ts';
import { pageOf, toList } from '../../http/pages.ts';
import { newRouter } from '../../http/router.ts';
import { createKey } from '../../usecases/keys/create-key.ts';
import { listKeys } from '../../usecases/keys/list-keys.ts';
import { revokeKey } from '../../usecases/keys/revoke-key.ts';
import { createKeyRoute, listKeysRoute, revokeKeyRoute } from './definition.ts';

export const keysRoutes = newRouter()
  .openapi(createKeyRoute, async (c) => c.json(await createKey(c.get('deps'), tenantOf(c), c.req.valid('json')), 201))
  .openapi(listKeysRoute, async (c) => {
    const page = pageOf(c.req.valid('query'), 'key');
    const rows = await listKeys(c.get('deps'), tenantOf(c), page);
    return c.json(
      toList(rows, page.limit, (key) => key),
      200,
    );
  })
  .openapi(revokeKeyRoute, async (c) => {
    const { id } = c.req.valid('param');
    await revokeKey(c.get('deps'), tenantOf(c), id);
    forgetKey(id);
    return c.body(null, 204);
  });
