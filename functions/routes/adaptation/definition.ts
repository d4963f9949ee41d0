import { createRoute, z } from '@hono/zod-openapi';
import { BATCH_MAX_INPUTS } from '../../../shared/limits.ts';
import { AdaptRequest } from '../../../shared/wire/adaptation.ts';
import { Version } from '../../../shared/wire/classifiers.ts';
import { requireScope } from '../../http/auth.ts';
import { idempotent } from '../../http/idempotency.ts';
import { accepts, creationProblems, jsonAnswer } from '../../http/route-parts.ts';

/** Parsed by read-target.ts. */
const formSchema = {
  type: 'object' as const,
  required: ['file'],
  properties: {
    file: {
      type: 'array' as const,
      maxItems: BATCH_MAX_INPUTS,
      items: { type: 'string' as const, contentMediaType: 'application/octet-stream', format: 'binary' },
    },
    label: {
      type: 'string' as const,
      description: 'Of each file, in order, empty where you do not know it; or not at all. Of a multi-label classifier: its only label.',
    },
  },
};

export const adaptRoute = createRoute({
  method: 'post',
  path: '/v1/classifiers/{id}/adapt',
  operationId: 'adapt',
  tags: ['Versions'],
  summary: 'Adapt it to another domain, from inputs without labels',
  description:
    'Aligns the examples with the target inputs (mean, spread and covariance) and solves the head again. The new version answers at once, later examples ' +
    'are learnt on top of it, and activating its `parent` undoes it. Refused as `negative_transfer`, with `evidence`, when the inputs are too few, look like ' +
    'the examples already, are not of its labels, or would be answered worse. Adapting again starts from the examples, with the new inputs alone. ' +
    'A multi-label classifier is adapted only where `labels` of some inputs show that they gain: nothing without labels tells a domain from other ' +
    'combinations of labels.',
  middleware: [requireScope('enroll'), accepts('application/json', 'multipart/form-data'), idempotent()],
  request: {
    params: z.object({ id: z.string() }),
    // Not `required`: then each media type's own parser runs only for its own bodies.
    body: { content: { 'application/json': { schema: AdaptRequest }, 'multipart/form-data': { schema: formSchema } } },
  },
  responses: {
    200: jsonAnswer(Version, 'The adapted version, now active; `evidence.adaptation` says what it rests on.'),
    ...creationProblems(
      'not_found',
      'conflict',
      'unavailable',
      'negative_transfer',
      'nothing_to_predict',
      'unknown_label',
      'dataset_not_ready',
      'unprocessable',
      'picture_invalid',
      'picture_truncated',
      'picture_too_large',
      'text_invalid',
      'dimension_mismatch',
    ),
  },
});
