/** `/v1/classifiers/{id}/labels/{name}`. */
import { tenantOf } from '../../http/auth.ts';
import { newRouter } from '../../http/router.ts';
import { deleteLabel, updateLabel } from '../../usecases/labels/labels.ts';
import { deleteLabelRoute, updateLabelRoute } from './definition.ts';

export const labelsRoutes = newRouter()
  .openapi(updateLabelRoute, async (c) => {
    const { id, name } = c.req.valid('param');
    return c.json(await updateLabel(c.get('deps'), tenantOf(c), id, name, c.req.valid('json')), 200);
  })
  .openapi(deleteLabelRoute, async (c) => {
    const { id, name } = c.req.valid('param');
    return c.json(await deleteLabel(c.get('deps'), tenantOf(c), id, name), 200);
  });
