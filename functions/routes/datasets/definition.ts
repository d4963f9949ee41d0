import { createRoute, z } from '@hono/zod-openapi';
import { CreateDatasetRequest, Dataset, DatasetQuality } from '../../../shared/wire/datasets.ts';
import { requireScope } from '../../http/auth.ts';
import { idempotent } from '../../http/idempotency.ts';
import { listOf, PageQuery } from '../../http/pages.ts';
import { problemResponses } from '../../http/problems.ts';
import { creationProblems, jsonAnswer, jsonInput } from '../../http/route-parts.ts';

const DatasetList = listOf(Dataset, 'DatasetList');
const tags = ['Datasets'];
const params = z.object({ id: z.string() });

export const createDatasetRoute = createRoute({
  method: 'post',
  path: '/v1/datasets',
  operationId: 'createDataset',
  tags,
  summary: 'Make a dataset that waits for its upload, or one from a classifier',
  middleware: [requireScope('train'), idempotent()],
  request: { body: jsonInput(CreateDatasetRequest) },
  responses: { 201: jsonAnswer(Dataset, 'The dataset.'), ...creationProblems('not_found', 'unprocessable') },
});

export const listDatasetsRoute = createRoute({
  method: 'get',
  path: '/v1/datasets',
  operationId: 'listDatasets',
  tags,
  summary: 'List datasets',
  middleware: [requireScope('train')],
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(DatasetList, 'One page, newest first.'), ...problemResponses() },
});

export const getDatasetRoute = createRoute({
  method: 'get',
  path: '/v1/datasets/{id}',
  operationId: 'getDataset',
  tags,
  summary: 'Read a dataset: its state, counts and the rows that were left out',
  middleware: [requireScope('train')],
  request: { params },
  responses: { 200: jsonAnswer(Dataset, 'The dataset.'), ...problemResponses('not_found') },
});

export const getQualityRoute = createRoute({
  method: 'get',
  path: '/v1/datasets/{id}/quality',
  operationId: 'getDatasetQuality',
  tags,
  summary: 'Likely wrong labels, duplicates, leakage, outliers and unreadable rows, each named by file and line',
  middleware: [requireScope('train')],
  request: { params },
  responses: { 200: jsonAnswer(DatasetQuality, 'The report.'), ...problemResponses('not_found', 'dataset_not_ready', 'unavailable') },
});

export const qualityFileRoute = createRoute({
  method: 'get',
  path: '/v1/datasets/{id}/quality.jsonl',
  operationId: 'downloadDatasetQuality',
  tags,
  summary: 'Every finding of the quality report, one JSON object a line',
  middleware: [requireScope('train')],
  request: { params },
  responses: {
    200: { description: 'Lines of DatasetIssue.', content: { 'text/jsonl': { schema: z.string() } } },
    ...problemResponses('not_found', 'dataset_not_ready', 'unavailable'),
  },
});

export const deleteDatasetRoute = createRoute({
  method: 'delete',
  path: '/v1/datasets/{id}',
  operationId: 'deleteDataset',
  tags,
  summary: 'Delete a dataset with its bytes',
  middleware: [requireScope('train')],
  request: { params },
  responses: { 204: { description: 'Deleted.' }, ...problemResponses('not_found', 'conflict') },
});
