/** The closed table of error codes. OpenAPI responses, problem+json bodies and retry decisions are all made from it. */
import { z } from 'zod';

type Row = { readonly status: number; readonly retryable: boolean; readonly title: string };

export const ERRORS = {
  invalid_request: { status: 400, retryable: false, title: 'The request is not valid.' },
  malformed_json: { status: 400, retryable: false, title: 'The body is not valid JSON.' },
  empty_body: { status: 400, retryable: false, title: 'The body is empty.' },
  unauthorized: { status: 401, retryable: false, title: 'A valid API key is required.' },
  forbidden: { status: 403, retryable: false, title: 'The key lacks the scope for this call.' },
  not_found: { status: 404, retryable: false, title: 'There is no such object.' },
  method_not_allowed: { status: 405, retryable: false, title: 'This path does not take that method.' },
  conflict: { status: 409, retryable: false, title: 'The object is not in a state that allows this.' },
  idempotency_in_flight: { status: 409, retryable: true, title: 'The first request with this Idempotency-Key is still running.' },
  stale_lease: { status: 409, retryable: false, title: 'The lease has expired or passed to another host.' },
  negative_transfer: { status: 409, retryable: false, title: 'The evidence says that this would make the answers worse.' },
  nothing_to_predict: { status: 409, retryable: false, title: 'The classifier has no labels or examples to answer with yet.' },
  body_too_large: { status: 413, retryable: false, title: 'The body is over the limit.' },
  unsupported_media_type: { status: 415, retryable: false, title: 'This type of content is not supported.' },
  unprocessable: { status: 422, retryable: false, title: 'The request is well-formed but cannot be carried out.' },
  idempotency_mismatch: { status: 422, retryable: false, title: 'This Idempotency-Key was used with a different request.' },
  picture_invalid: { status: 422, retryable: false, title: 'The picture cannot be decoded.' },
  picture_truncated: { status: 422, retryable: false, title: 'The picture is truncated.' },
  picture_too_large: { status: 422, retryable: false, title: 'The picture is over the pixel limit.' },
  text_invalid: { status: 422, retryable: false, title: 'The text is not valid UTF-8.' },
  unknown_label: { status: 422, retryable: false, title: 'The label does not exist in this classifier.' },
  unknown_version: { status: 422, retryable: false, title: 'The classifier has not had this version yet.' },
  unknown_backbone: { status: 422, retryable: false, title: 'There is no such backbone.' },
  dimension_mismatch: { status: 422, retryable: false, title: 'The vector has the wrong dimension.' },
  upload_incomplete: { status: 422, retryable: false, title: 'A part of the upload is missing or wrong.' },
  checksum_mismatch: { status: 422, retryable: false, title: 'The bytes do not have the promised checksum.' },
  dataset_not_ready: { status: 409, retryable: false, title: 'The dataset is not ready.' },
  rate_limited: { status: 429, retryable: true, title: 'Too many requests.' },
  internal: { status: 500, retryable: true, title: 'Something went wrong on our side.' },
  unavailable: { status: 503, retryable: true, title: 'A part that this call needs is not available right now.' },
} as const satisfies Record<string, Row>;

export type ErrorCode = keyof typeof ERRORS;

export const ErrorDetail = z
  .object({
    pointer: z.string().optional(),
    file: z.string().optional(),
    line: z.number().int().optional(),
    code: z.string(),
    detail: z.string(),
  })
  .meta({ id: 'ErrorDetail' });
export type ErrorDetail = z.infer<typeof ErrorDetail>;

export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    instance: z.string(),
    code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
    param: z.string().optional(),
    request_id: z.string(),
    errors: z.array(ErrorDetail).optional(),
    evidence: z.unknown().optional(),
    /** Under /v2: the detail, where clients of the Open Inference Protocol look for it. */
    error: z.string().optional(),
  })
  .meta({ id: 'Problem' });
export type Problem = z.infer<typeof Problem>;

/** An error that a caller may see. `detail` says what is wrong and where, in words that need no knowledge of our code. */
export class GraftError extends Error {
  override readonly name = 'GraftError';
  readonly code: ErrorCode;
  readonly param: string | undefined;
  readonly errors: ErrorDetail[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly evidence: unknown;
  constructor(
    code: ErrorCode,
    detail: string,
    more: { param?: string; errors?: ErrorDetail[]; retryAfterSeconds?: number; evidence?: unknown; cause?: unknown } = {},
  ) {
    super(detail, { cause: more.cause });
    this.code = code;
    this.param = more.param;
    this.errors = more.errors;
    this.retryAfterSeconds = more.retryAfterSeconds;
    this.evidence = more.evidence;
  }
  get status(): number {
    return ERRORS[this.code].status;
  }
  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
}
