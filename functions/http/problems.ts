/**
 * Errors become RFC 9457 `application/problem+json` here, and only here. A GraftError says what its author wrote; anything unforeseen says only
 * its request id, because its message was never written for strangers.
 */
import { HTTPException } from 'hono/http-exception';
import type { Context } from 'hono';
import { z, ZodError } from 'zod';
import { ERRORS, GraftError, Problem, type ErrorCode, type ErrorDetail } from '../../shared/errors.ts';
import { forTheLog } from '../domain/for-the-log.ts';
import type { HttpEnv } from './context.ts';
import { isTransient } from './unforeseen.ts';

export const PROBLEM_TYPE = 'application/problem+json';
const DETAILS_MAX = 100;

/** Answers that every authenticated call can give. */
const COMMON: readonly ErrorCode[] = ['invalid_request', 'unauthorized', 'forbidden', 'rate_limited', 'internal', 'unavailable'];

type ResponseObject = { description: string; content: { [PROBLEM_TYPE]: { schema: typeof Problem; examples: Record<string, { value: unknown }> } } };

function describe(codes: readonly ErrorCode[]): Record<number, ResponseObject> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set(codes)) byStatus.set(ERRORS[code].status, [...(byStatus.get(ERRORS[code].status) ?? []), code]);
  const responses: Record<number, ResponseObject> = {};
  for (const [status, list] of [...byStatus].toSorted((a, b) => a[0] - b[0])) {
    responses[status] = {
      description: list.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join(' '),
      content: {
        [PROBLEM_TYPE]: {
          schema: Problem,
          examples: Object.fromEntries(
            list.map((code) => [
              code,
              {
                value: {
                  type: `/errors/${code}`,
                  title: ERRORS[code].title,
                  status,
                  detail: ERRORS[code].title,
                  instance: '/v1/…',
                  code,
                  request_id: 'req_…',
                },
              },
            ]),
          ),
        },
      },
    };
  }
  return responses;
}

/**
 * OpenAPI responses of an authenticated route: those that any such call can give and the codes named. Spread it into `responses`. Its type is empty
 * on purpose: handlers answer errors by throwing, so only the successes belong to their type.
 */
export function problemResponses(...codes: readonly ErrorCode[]): {} {
  return describe([...COMMON, ...codes]);
}

/** The same for routes that need no key. */
export function publicProblemResponses(...codes: readonly ErrorCode[]): {} {
  return describe(['internal', ...codes]);
}

/** JSON pointer (RFC 6901) of a zod path. */
function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function detailsOf(error: z.core.$ZodError, at: readonly PropertyKey[] = []): ErrorDetail[] {
  return error.issues.flatMap((issue): ErrorDetail[] => {
    const path = [...at, ...issue.path];
    // A union reports each member's troubles; the member that got furthest is the one that the caller meant.
    if (issue.code === 'invalid_union' && issue.errors.length > 0) {
      const meant = issue.errors.toSorted((a, b) => deepest(b) - deepest(a))[0] ?? [];
      if (meant.some((inner) => inner.path.length > 0)) return detailsOf(new z.core.$ZodError(meant), path);
    }
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ pointer: pointerOf([...path, key]), code: issue.code, detail: `There is no field "${key}" here.` }));
    return [{ pointer: pointerOf(path), code: issue.code, detail: issue.message }];
  });
}

function deepest(issues: readonly z.core.$ZodIssue[]): number {
  return issues.reduce((most, issue) => Math.max(most, issue.path.length), 0);
}

/** `invalid_request` with one entry a fault. `target` is where the value came from: `json`, `query`, `header`, `form`. */
export function invalidRequest(error: z.core.$ZodError, target: string): GraftError {
  const errors = detailsOf(error);
  const first = errors[0];
  const where = target === 'json' ? 'body' : target;
  const pointer = first?.pointer ?? '';
  const detail = `The ${where} is not valid${pointer ? ` at ${pointer}` : ''}: ${first?.detail ?? 'unknown'}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''}`;
  const param = pointer.slice(1).replaceAll('/', '.');
  return new GraftError('invalid_request', detail, { errors: errors.slice(0, DETAILS_MAX), ...(param ? { param } : {}) });
}

/** Any thrown value as the error that the caller may see. */
async function presentable(error: unknown, c: Context<HttpEnv>): Promise<GraftError> {
  const limit = c.get('bodyOverLimit');
  if (limit) return new GraftError('body_too_large', `The body is over the limit of ${limit} bytes.`);
  if (error instanceof GraftError) return error;
  if (error instanceof HTTPException) return await fromHono(error, c);
  if (isTransient(error)) {
    console.warn(JSON.stringify({ message: 'a part is overloaded', request_id: c.get('requestId'), error: forTheLog(error) }));
    return new GraftError('unavailable', 'A part that this call needs is overloaded. Nothing is lost; try again.', { retryAfterSeconds: 1 });
  }
  console.error(
    JSON.stringify({
      message: 'unforeseen error',
      request_id: c.get('requestId'),
      method: c.req.method,
      path: c.req.path,
      error: forTheLog(error),
    }),
  );
  return new GraftError('internal', 'Something went wrong on our side. Quote the request id when you ask about it.');
}

/** Hono's own refusals: a content type that the route does not declare, and a body that is not JSON. */
async function fromHono(error: HTTPException, c: Context<HttpEnv>): Promise<GraftError> {
  if (error.status === 415) {
    const type = c.req.header('content-type');
    const detail = type ? `The content type "${type.slice(0, 100)}" is not supported by this call.` : 'The body has no Content-Type header.';
    return new GraftError('unsupported_media_type', detail, { param: 'content-type' });
  }
  if (error.status === 400) {
    const body = await c.req.arrayBuffer().catch(() => null);
    if (body?.byteLength === 0) return new GraftError('empty_body', 'The body is empty; this call needs one.');
    if (c.req.header('content-type')?.startsWith('multipart/'))
      return new GraftError('invalid_request', 'The body is not well-formed multipart/form-data.');
    return new GraftError('malformed_json', `The body is not valid JSON${jsonFault(body)}.`);
  }
  return new GraftError('internal', 'Something went wrong on our side. Quote the request id when you ask about it.');
}

function jsonFault(body: ArrayBuffer | null): string {
  if (!body) return '';
  try {
    JSON.parse(new TextDecoder().decode(body));
    return '';
  } catch (error) {
    const at = /position (\d+)/.exec(String(error))?.[1];
    return at ? ` at position ${at}` : '';
  }
}

const isInferenceProtocol = (url: string): boolean => /^\/v2(?:\/|$)/.test(new URL(url).pathname);

export function problemBody(error: GraftError, c: Context<HttpEnv>): Problem {
  const requestId = c.get('requestId');
  return {
    type: new URL(`/errors/${error.code}`, c.req.url).toString(),
    title: ERRORS[error.code].title,
    status: error.status,
    detail: error.message,
    instance: new URL(c.req.url).pathname,
    code: error.code,
    request_id: requestId,
    // The Open Inference Protocol has its own word for it, and its clients look for that.
    ...(isInferenceProtocol(c.req.url) ? { error: error.message } : {}),
    ...(error.param === undefined ? {} : { param: error.param }),
    ...(error.errors === undefined ? {} : { errors: error.errors }),
    ...(error.evidence === undefined ? {} : { evidence: error.evidence }),
  };
}

/** The answer to any thrown value. */
export async function toProblem(thrown: unknown, c: Context<HttpEnv>): Promise<Response> {
  const error = thrown instanceof ZodError ? asInternal(thrown) : thrown;
  const shown = await presentable(error, c);
  if (shown.retryAfterSeconds !== undefined) c.header('Retry-After', String(Math.max(1, Math.ceil(shown.retryAfterSeconds))));
  if (shown.code === 'unauthorized') c.header('WWW-Authenticate', 'Bearer realm="graft"');
  // A body that was refused half-read cannot be followed by another request on the connection.
  if (shown.code === 'body_too_large') c.header('Connection', 'close');
  return c.body(JSON.stringify(problemBody(shown, c)), shown.status as 400, { 'Content-Type': PROBLEM_TYPE });
}

/** A ZodError that no hook caught is about our own data (settings, rows, stored manifests), never about the request. */
function asInternal(error: ZodError): Error {
  return new Error(`own data did not fit its schema: ${JSON.stringify(error.issues.slice(0, 5))}`, { cause: error });
}
