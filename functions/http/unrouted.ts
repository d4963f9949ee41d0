/** Answers for paths that no route takes: 405 with `Allow` when only the method is wrong, 404 otherwise. */
import type { Context, Hono } from 'hono';
import { GraftError } from '../../shared/errors.ts';
import type { HttpEnv } from './context.ts';

/** Makes the not-found handler of `app`; call it after every route is mounted. */
export function unrouted(app: Hono<HttpEnv>): (c: Context<HttpEnv>) => never {
  const patterns = app.routes
    .filter((route) => route.method !== 'ALL')
    .map((route) => ({
      method: route.method.toUpperCase(),
      path: new RegExp(`^${route.path.replace(/:[^/]+\{([^}]+)\}|:[^/]+/g, (_, own) => (own ? `(?:${own})` : '[^/]+'))}$`),
    }));
  return (c) => {
    const allowed = [...new Set(patterns.filter((p) => p.path.test(c.req.path)).map((p) => p.method))].toSorted();
    if (allowed.length === 0) throw new GraftError('not_found', `There is nothing at ${c.req.path.slice(0, 200)}.`);
    c.header('Allow', allowed.join(', '));
    throw new GraftError('method_not_allowed', `${c.req.path.slice(0, 200)} takes ${allowed.join(', ')}, not ${c.req.method}.`);
  };
}
