/** `/v1/backbones`: the catalogue. Everybody reads it; only the operator changes it. */
import { AddBackboneRequest } from '../../../shared/wire/backbones.ts';
import { tenantOf } from '../../http/auth.ts';
import { formOf } from '../../http/forms.ts';
import { pageOfWhole } from '../../http/pages.ts';
import { jsonBody } from '../../http/route-parts.ts';
import { newRouter } from '../../http/router.ts';
import { addBackbone } from '../../usecases/backbones/add-backbone.ts';
import { listBackbones } from '../../usecases/backbones/list-backbones.ts';
import { removeBackbone } from '../../usecases/backbones/remove-backbone.ts';
import * as routes from './definition.ts';
import { fromForm, fromJson } from './read-backbone.ts';

export const backbonesRoutes = newRouter()
  .openapi(routes.listBackbonesRoute, async (c) =>
    c.json(
      pageOfWhole(await listBackbones(c.get('deps'), tenantOf(c)), c.req.valid('query'), (b) => b.id),
      200,
    ),
  )
  .openapi(routes.addBackboneRoute, async (c) => {
    const isForm = c.req.header('content-type')?.toLowerCase().startsWith('multipart/');
    const { said, onnx } = isForm ? await fromForm(await formOf(c)) : fromJson(jsonBody(c, AddBackboneRequest));
    return c.json(await addBackbone(c.get('deps'), said, onnx), 201);
  })
  .openapi(routes.removeBackboneRoute, async (c) => {
    const { id } = c.req.valid('param');
    await removeBackbone(c.get('deps'), id);
    return c.json({ object: 'backbone' as const, id, deleted: true as const }, 200);
  });
