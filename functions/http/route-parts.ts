/** Small parts that route definitions share. */
import type { z } from 'zod';
import type { ErrorCode } from '../../shared/errors.ts';
import { problemResponses } from './problems.ts';

/** A required JSON body. */
export function jsonInput<Schema extends z.ZodType>(schema: Schema) {
  return { required: true as const, content: { 'application/json': { schema } } };
}

/** A JSON answer. */
export function jsonAnswer<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { 'application/json': { schema } } };
}

/** The errors of a call that creates from JSON and honours `Idempotency-Key`, and the codes named. */
export function creationProblems(...codes: readonly ErrorCode[]) {
  return problemResponses(
    'malformed_json',
    'empty_body',
    'unsupported_media_type',
    'body_too_large',
    'idempotency_mismatch',
    'idempotency_in_flight',
    ...codes,
  );
}
