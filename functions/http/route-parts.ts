/** Small parts that route definitions share. */
import type { z } from 'zod';
import type { Context, MiddlewareHandler } from 'hono';
import { GraftError, type ErrorCode } from '../../shared/errors.ts';
import type { HttpEnv } from './context.ts';
import { problemResponses } from './problems.ts';

/** A required JSON body. */
export function jsonInput<Schema extends z.ZodType>(schema: Schema) {
  return { required: true as const, content: { 'application/json': { schema } } };
}

/** A JSON answer. */
export function jsonAnswer<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { 'application/json': { schema } } };
}

/** The errors of a call that reads a JSON body, and the codes named. */
export function bodyProblems(...codes: readonly ErrorCode[]) {
  return problemResponses('malformed_json', 'empty_body', 'unsupported_media_type', 'body_too_large', ...codes);
}

/** The errors of a call that honours `Idempotency-Key`, and the codes named. */
export function onceProblems(...codes: readonly ErrorCode[]) {
  return problemResponses('idempotency_mismatch', 'idempotency_in_flight', ...codes);
}

/** The errors of a call that creates from JSON and honours `Idempotency-Key`, and the codes named. */
export function creationProblems(...codes: readonly ErrorCode[]) {
  return bodyProblems('idempotency_mismatch', 'idempotency_in_flight', ...codes);
}

/** A body that only some media types may have: any other is refused with the list. Goes after `requireScope`. */
export function accepts(...types: readonly string[]): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const given = c.req.header('content-type');
    const type = given?.split(';')[0]?.trim().toLowerCase();
    if (type === undefined || type === '') {
      if (c.req.raw.body === null || c.req.header('content-length') === '0')
        throw new GraftError('empty_body', `The body is empty; send ${types.join(', ')}.`);
      throw new GraftError('unsupported_media_type', `The Content-Type header is missing; send ${types.join(', ')}.`, { param: 'content-type' });
    }
    if (!types.includes(type))
      throw new GraftError('unsupported_media_type', `The content type "${type.slice(0, 100)}" is not supported here; send ${types.join(', ')}.`, {
        param: 'content-type',
      });
    await next();
  };
}

export const PICTURE_TYPES = ['image/jpeg', 'image/png', 'image/webp'] as const;

/** The validated JSON body of a route that takes other media types too: there the framework's types know of no JSON. */
export function jsonBody<Schema extends z.ZodType>(c: Context<HttpEnv>, _schema: Schema): z.infer<Schema> {
  return c.req.valid('json' as never) as z.infer<Schema>;
}
