/** One router a room. A failed validation throws, so that every refusal takes the one road to problem+json. */
import { OpenAPIHono } from '@hono/zod-openapi';
import { GraftError } from '../../shared/errors.ts';
import type { HttpEnv } from './context.ts';
import { invalidRequest } from './problems.ts';

export function newRouter(): OpenAPIHono<HttpEnv> {
  return new OpenAPIHono<HttpEnv>({
    defaultHook: (result, c) => {
      if (result.success) return;
      // An id of the wrong form names nothing: the same answer as for one that does not exist.
      if (result.target === 'param') throw new GraftError('not_found', `There is nothing at ${c.req.path}.`);
      throw invalidRequest(result.error, result.target);
    },
  });
}
