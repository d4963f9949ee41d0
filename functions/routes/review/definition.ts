import { createRoute, z } from '@hono/zod-openapi';
import { EnrollAnswer, UpdateExample } from '../../../shared/wire/examples.ts';
import { DeletedReviewItem, ReviewItem } from '../../../shared/wire/review.ts';
import { requireScope } from '../../http/auth.ts';
import { idempotent } from '../../http/idempotency.ts';
import { listOf, PageQuery } from '../../http/pages.ts';
import { problemResponses } from '../../http/problems.ts';
import { creationProblems, jsonAnswer, jsonInput } from '../../http/route-parts.ts';

const tags = ['Review'];
const params = z.object({ id: z.string() });
const itemParams = z.object({ id: z.string(), item: z.string() });

export const listReviewRoute = createRoute({
  method: 'get',
  path: '/v1/classifiers/{id}/review',
  operationId: 'listReview',
  tags,
  summary: 'Inputs that it was not sure of',
  description:
    'Kept while the classifier has a `review` rule. An input shows up shortly after its prediction was answered, and once, however often it came.',
  middleware: [requireScope()],
  request: { params, query: PageQuery },
  responses: { 200: jsonAnswer(listOf(ReviewItem, 'ReviewItemList'), 'One page, newest first.'), ...problemResponses('not_found') },
});

export const enrollReviewedRoute = createRoute({
  method: 'post',
  path: '/v1/classifiers/{id}/review/{item}',
  operationId: 'enrollReviewed',
  tags,
  summary: 'Say what it is: it becomes an example',
  description: 'Exactly once: when somebody else was first, the answer is a `conflict` that names the example.',
  middleware: [requireScope('enroll'), idempotent()],
  request: { params: itemParams, body: jsonInput(UpdateExample) },
  responses: {
    201: jsonAnswer(EnrollAnswer, 'The example and the version that knows it.'),
    ...creationProblems('not_found', 'unprocessable', 'conflict'),
  },
});

export const dropReviewItemRoute = createRoute({
  method: 'delete',
  path: '/v1/classifiers/{id}/review/{item}',
  operationId: 'dropReviewItem',
  tags,
  summary: 'Take it off the queue without learning from it',
  middleware: [requireScope('enroll')],
  request: { params: itemParams },
  responses: { 200: jsonAnswer(DeletedReviewItem, 'Dropped, with its original.'), ...problemResponses('not_found') },
});
