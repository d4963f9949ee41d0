import { createRoute, z } from '@hono/zod-openapi';
import { BATCH_MAX_INPUTS } from '../../../shared/limits.ts';
import { LabelName } from '../../../shared/wire/classifiers.ts';
import { DeletedExample, EnrollAnswer, EnrollRequest, Example, UpdatedExample, UpdateExample } from '../../../shared/wire/examples.ts';
import { requireScope } from '../../http/auth.ts';
import { idempotent } from '../../http/idempotency.ts';
import { listOf, PageQuery } from '../../http/pages.ts';
import { problemResponses } from '../../http/problems.ts';
import { accepts, bodyProblems, creationProblems, jsonAnswer, jsonInput } from '../../http/route-parts.ts';

const tags = ['Examples'];
const params = z.object({ id: z.string() });
const exampleParams = z.object({ id: z.string(), example: z.string() });

/** Parsed by read-enrollment.ts: a form's fields repeat, which a zod object cannot say. */
const formSchema = {
  type: 'object' as const,
  required: ['file'],
  properties: {
    label: { type: 'string' as const, description: 'The label of all files. Or one for each file, in order.' },
    labels: { type: 'string' as const, description: 'Instead of `label`, for multi-label classifiers; repeat the field for several.' },
    file: {
      type: 'array' as const,
      maxItems: BATCH_MAX_INPUTS,
      items: { type: 'string' as const, contentMediaType: 'application/octet-stream', format: 'binary' },
    },
  },
};

export const enrollExamplesRoute = createRoute({
  method: 'post',
  path: '/v1/classifiers/{id}/examples',
  operationId: 'enrollExamples',
  tags,
  summary: 'Teach it examples, all or none',
  middleware: [requireScope('enroll'), accepts('application/json', 'multipart/form-data'), idempotent()],
  request: {
    params,
    // Not `required`: then each media type's own parser runs only for its own bodies.
    body: { content: { 'application/json': { schema: EnrollRequest }, 'multipart/form-data': { schema: formSchema } } },
  },
  responses: {
    201: jsonAnswer(EnrollAnswer, 'The examples and the version that knows them.'),
    ...creationProblems(
      'not_found',
      'unprocessable',
      'picture_invalid',
      'picture_truncated',
      'picture_too_large',
      'text_invalid',
      'dimension_mismatch',
      'conflict',
    ),
  },
});

export const listExamplesRoute = createRoute({
  method: 'get',
  path: '/v1/classifiers/{id}/examples',
  operationId: 'listExamples',
  tags,
  summary: 'List examples',
  middleware: [requireScope()],
  request: { params, query: PageQuery.extend({ label: LabelName.optional() }) },
  responses: { 200: jsonAnswer(listOf(Example, 'ExampleList'), 'One page.'), ...problemResponses('not_found') },
});

export const getExampleRoute = createRoute({
  method: 'get',
  path: '/v1/classifiers/{id}/examples/{example}',
  operationId: 'getExample',
  tags,
  summary: 'Get an example',
  middleware: [requireScope()],
  request: { params: exampleParams },
  responses: { 200: jsonAnswer(Example, 'The example.'), ...problemResponses('not_found') },
});

export const relabelExampleRoute = createRoute({
  method: 'patch',
  path: '/v1/classifiers/{id}/examples/{example}',
  operationId: 'relabelExample',
  tags,
  summary: 'Give an example another label that exists',
  middleware: [requireScope('enroll')],
  request: { params: exampleParams, body: jsonInput(UpdateExample) },
  responses: {
    200: jsonAnswer(UpdatedExample, 'The example and the version that knows the change.'),
    ...bodyProblems('not_found', 'unknown_label', 'unprocessable'),
  },
});

export const deleteExampleRoute = createRoute({
  method: 'delete',
  path: '/v1/classifiers/{id}/examples/{example}',
  operationId: 'deleteExample',
  tags,
  summary: 'Delete an example as if it had never been enrolled',
  description:
    'A label that was there only because examples had it goes with the last of them; one that was named or described by a call of its own stays. A ' +
    'dataset that was made from the classifier before keeps its frozen copy until it is deleted, but no job uses that row from now on.',
  middleware: [requireScope('enroll')],
  request: { params: exampleParams },
  responses: { 200: jsonAnswer(DeletedExample, 'Deleted, and the version without it.'), ...problemResponses('not_found') },
});
