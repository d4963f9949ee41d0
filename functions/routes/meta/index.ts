/** Calls without a key: health, readiness, the OpenAPI document, its reference, the error pages and the console. */
import { createRoute } from '@hono/zod-openapi';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { GraftError, ERRORS, type ErrorCode } from '../../../shared/errors.ts';
import { Health, Readiness } from '../../../shared/wire/meta.ts';
import { encodeBase64 } from '../../domain/base64.ts';
import type { HttpEnv } from '../../http/context.ts';
import { publicProblemResponses } from '../../http/problems.ts';
import { jsonAnswer } from '../../http/route-parts.ts';
import { newRouter } from '../../http/router.ts';
import { checkReadiness } from '../../usecases/meta/check-readiness.ts';
import { documentOf } from './document.ts';
import { consolePage, SCRIPT } from './console.ts';
import { errorPage } from './pages.ts';
import { referencePage } from './reference.ts';

const health = createRoute({
  method: 'get',
  path: '/healthz',
  operationId: 'getHealth',
  tags: ['Operations'],
  summary: 'Is it alive?',
  security: [],
  responses: { 200: jsonAnswer(Health, 'It is.'), ...publicProblemResponses() },
});

const readiness = createRoute({
  method: 'get',
  path: '/readyz',
  operationId: 'getReadiness',
  tags: ['Operations'],
  summary: 'Can it serve?',
  security: [],
  responses: { 200: jsonAnswer(Readiness, 'It can.'), 503: jsonAnswer(Readiness, 'A part is missing.'), ...publicProblemResponses() },
});

/** Pages may load nothing from elsewhere and be framed by nobody. @param more of what the page itself does */
function pageHeaders(more = ''): Record<string, string> {
  return {
    'Content-Security-Policy': `default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'${more}`,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
  };
}

/** The one script there is, by its digest: markup that somebody smuggled in runs nothing. */
async function consoleHeaders(): Promise<Record<string, string>> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(SCRIPT)));
  return pageHeaders(`; script-src 'sha256-${encodeBase64(digest)}'; connect-src 'self'`);
}

/** @param app the whole application: the document is made from its routes, so call this last */
export function metaRoutes(app: OpenAPIHono<HttpEnv>): OpenAPIHono<HttpEnv> {
  const router = newRouter()
    .openapi(health, (c) => c.json({ ok: true as const }, 200))
    .openapi(readiness, async (c) => {
      const state = await checkReadiness(c.get('deps'));
      return state.ready ? c.json(state, 200) : c.json(state, 503);
    });
  router.get('/openapi.json', (c) => c.json(documentOf(app, new URL(c.req.url).origin)));
  router.get('/docs', (c) => c.html(referencePage(documentOf(app, new URL(c.req.url).origin)), 200, pageHeaders()));
  router.get('/errors/:code', (c) => {
    const code = c.req.param('code');
    if (!Object.hasOwn(ERRORS, code)) throw new GraftError('not_found', `There is no error code "${code.slice(0, 100)}".`);
    return c.html(errorPage(code as ErrorCode), 200, pageHeaders());
  });
  router.get('/', async (c) => c.html(consolePage(), 200, await consoleHeaders()));
  return router;
}
