import { createRoute, z } from '@hono/zod-openapi';
import { Classifier, CreateClassifier, DeletedClassifier, UpdateClassifier } from '../../../shared/wire/classifiers.ts';
import { requireScope } from '../../http/auth.ts';
import { idempotent } from '../../http/idempotency.ts';
import { listOf, PageQuery } from '../../http/pages.ts';
import { problemResponses } from '../../http/problems.ts';
import { bodyProblems, creationProblems, jsonAnswer, jsonInput } from '../../http/route-parts.ts';
import { Report } from '../../../shared/wire/report.ts';

const tags = ['Classifiers'];
const params = z.object({ id: z.string() });

export const createClassifierRoute = createRoute({
  method: 'post',
  path: '/v1/classifiers',
  operationId: 'createClassifier',
  tags,
  summary: 'Make a classifier',
  middleware: [requireScope('enroll'), idempotent()],
  request: { body: jsonInput(CreateClassifier) },
  responses: { 201: jsonAnswer(Classifier, 'The classifier.'), ...creationProblems('unknown_backbone', 'dimension_mismatch', 'unprocessable') },
});

export const listClassifiersRoute = createRoute({
  method: 'get',
  path: '/v1/classifiers',
  operationId: 'listClassifiers',
  tags,
  summary: 'List classifiers',
  middleware: [requireScope()],
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(listOf(Classifier, 'ClassifierList'), 'One page, newest first.'), ...problemResponses() },
});

export const getClassifierRoute = createRoute({
  method: 'get',
  path: '/v1/classifiers/{id}',
  operationId: 'getClassifier',
  tags,
  summary: 'Get a classifier',
  middleware: [requireScope()],
  request: { params },
  responses: { 200: jsonAnswer(Classifier, 'The classifier.'), ...problemResponses('not_found') },
});

export const updateClassifierRoute = createRoute({
  method: 'patch',
  path: '/v1/classifiers/{id}',
  operationId: 'updateClassifier',
  tags,
  summary: 'Rename a classifier or set its unknown rule',
  middleware: [requireScope('enroll')],
  request: { params, body: jsonInput(UpdateClassifier) },
  responses: { 200: jsonAnswer(Classifier, 'The classifier.'), ...bodyProblems('not_found') },
});

export const deleteClassifierRoute = createRoute({
  method: 'delete',
  path: '/v1/classifiers/{id}',
  operationId: 'deleteClassifier',
  tags,
  summary: 'Delete a classifier with its examples and versions',
  middleware: [requireScope('enroll')],
  request: { params },
  responses: { 200: jsonAnswer(DeletedClassifier, 'Deleted.'), ...problemResponses('not_found') },
});

export const getReportRoute = createRoute({
  method: 'get',
  path: '/v1/classifiers/{id}/report',
  operationId: 'getReport',
  tags,
  summary: 'How well it answers, and where it does not',
  middleware: [requireScope()],
  request: { params },
  responses: { 200: jsonAnswer(Report, 'Measured on its own examples, each left out in turn.'), ...problemResponses('not_found') },
});
