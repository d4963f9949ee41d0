/** `/v1/datasets/{id}/uploads`: the bytes themselves never pass through here. */
import { tenantOf } from '../../http/auth.ts';
import { newRouter } from '../../http/router.ts';
import { abortUpload } from '../../usecases/datasets/abort-upload.ts';
import { completeUpload } from '../../usecases/datasets/complete-upload.ts';
import { createUpload } from '../../usecases/datasets/create-upload.ts';
import { getUpload } from '../../usecases/datasets/get-upload.ts';
import { abortUploadRoute, completeUploadRoute, createUploadRoute, getUploadRoute } from './definition.ts';

export const uploadsRoutes = newRouter()
  .openapi(createUploadRoute, async (c) => {
    const input = { tenant: tenantOf(c), dataset: c.req.valid('param').id, request: c.req.valid('json') };
    return c.json(await createUpload(c.get('deps'), input), 201);
  })
  .openapi(getUploadRoute, async (c) => {
    const { id, upload } = c.req.valid('param');
    return c.json(await getUpload(c.get('deps'), { tenant: tenantOf(c), dataset: id, upload }), 200);
  })
  .openapi(completeUploadRoute, async (c) => {
    const { id, upload } = c.req.valid('param');
    return c.json(await completeUpload(c.get('deps'), { tenant: tenantOf(c), dataset: id, upload, request: c.req.valid('json') }), 200);
  })
  .openapi(abortUploadRoute, async (c) => {
    const { id, upload } = c.req.valid('param');
    return c.json(await abortUpload(c.get('deps'), { tenant: tenantOf(c), dataset: id, upload }), 200);
  });
