import { createRoute, z } from '@hono/zod-openapi';
import { ManyPredictRequest, Prediction, PredictionList, PredictQuery, PredictRequest } from '../../../shared/wire/predictions.ts';
import { Verification, VerifyRequest } from '../../../shared/wire/verification.ts';
import { requireScope } from '../../http/auth.ts';
import { problemResponses } from '../../http/problems.ts';
import { accepts, jsonAnswer, jsonInput, PICTURE_TYPES } from '../../http/route-parts.ts';

const tags = ['Predictions'];
const raw = { schema: { type: 'string' as const, format: 'binary' } };
const refusals = [
  'not_found',
  'nothing_to_predict',
  'malformed_json',
  'empty_body',
  'unsupported_media_type',
  'body_too_large',
  'unprocessable',
  'picture_invalid',
  'picture_truncated',
  'picture_too_large',
  'text_invalid',
  'dimension_mismatch',
] as const;
const timing = {
  'Server-Timing': { description: '`decode`, `embed`, `score` and `queue` in milliseconds.', schema: { type: 'string' as const } },
};

export const predictRoute = createRoute({
  method: 'post',
  path: '/v1/classifiers/{id}/predict',
  operationId: 'predict',
  tags,
  summary: 'What is this?',
  description: 'A picture or a text as the body itself, or JSON with one input or up to 64 `inputs`.',
  middleware: [requireScope('predict'), accepts('application/json', 'text/plain', ...PICTURE_TYPES)],
  request: {
    params: z.object({ id: z.string() }),
    query: PredictQuery,
    body: {
      content: {
        'application/json': { schema: PredictRequest },
        'image/jpeg': raw,
        'image/png': raw,
        'image/webp': raw,
        'text/plain': { schema: { type: 'string' as const } },
      },
    },
  },
  responses: {
    200: { ...jsonAnswer(z.union([Prediction, PredictionList]), 'The prediction, or of `inputs` a list of them in order.'), headers: timing },
    ...problemResponses(...refusals, 'unknown_version'),
  },
});

export const predictManyRoute = createRoute({
  method: 'post',
  path: '/v1/predict',
  operationId: 'predictMany',
  tags,
  summary: 'One input, many classifiers, one embedding',
  middleware: [requireScope('predict')],
  request: { body: jsonInput(ManyPredictRequest) },
  responses: {
    200: { ...jsonAnswer(PredictionList, 'One prediction a classifier, in the order asked.'), headers: timing },
    ...problemResponses(...refusals, 'unknown_version'),
  },
});

export const verifyRoute = createRoute({
  method: 'post',
  path: '/v1/classifiers/{id}/verify',
  operationId: 'verify',
  tags,
  summary: 'Is this of that label?',
  description:
    'Works from one example on. The threshold is the similarity that at most `false_accept_rate` of impostors reach: the background and the examples of other labels. A rate too low for their number is extrapolated, and `promised` is false.',
  middleware: [requireScope('predict')],
  request: { params: z.object({ id: z.string() }), body: jsonInput(VerifyRequest) },
  responses: {
    200: { ...jsonAnswer(Verification, 'Whether it matches, and what that rests on.'), headers: timing },
    ...problemResponses(...refusals, 'unknown_label'),
  },
});
