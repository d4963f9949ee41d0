import { createRoute, z } from '@hono/zod-openapi';
import { DeletedLabel, LabelName, UpdatedLabel, UpdateLabel } from '../../../shared/wire/classifiers.ts';
import { requireScope } from '../../http/auth.ts';
import { problemResponses } from '../../http/problems.ts';
import { bodyProblems, jsonAnswer, jsonInput } from '../../http/route-parts.ts';

const params = z.object({ id: z.string(), name: LabelName });

export const updateLabelRoute = createRoute({
  method: 'patch',
  path: '/v1/classifiers/{id}/labels/{name}',
  operationId: 'updateLabel',
  tags: ['Labels'],
  summary: 'Rename, describe or merge a label',
  middleware: [requireScope('enroll')],
  request: { params, body: jsonInput(UpdateLabel) },
  responses: {
    200: jsonAnswer(UpdatedLabel, 'The label as it is now, and the version that knows it.'),
    ...bodyProblems('not_found', 'conflict', 'unknown_label', 'unprocessable'),
  },
});

export const deleteLabelRoute = createRoute({
  method: 'delete',
  path: '/v1/classifiers/{id}/labels/{name}',
  operationId: 'deleteLabel',
  tags: ['Labels'],
  summary: 'Delete a label with its examples',
  middleware: [requireScope('enroll')],
  request: { params },
  responses: { 200: jsonAnswer(DeletedLabel, 'Deleted, and the version without it.'), ...problemResponses('not_found', 'unknown_label', 'conflict') },
});
