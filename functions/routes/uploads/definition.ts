import { createRoute, z } from '@hono/zod-openapi';
import { CompleteUploadRequest, CreateUploadRequest, Dataset, Upload } from '../../../shared/wire/datasets.ts';
import { requireScope } from '../../http/auth.ts';
import { idempotent } from '../../http/idempotency.ts';
import { problemResponses } from '../../http/problems.ts';
import { bodyProblems, creationProblems, jsonAnswer, jsonInput } from '../../http/route-parts.ts';

const tags = ['Datasets'];
const params = z.object({ id: z.string(), upload: z.string() });

export const createUploadRoute = createRoute({
  method: 'post',
  path: '/v1/datasets/{id}/uploads',
  operationId: 'createUpload',
  tags,
  summary: 'Open an upload: one presigned URL a part, straight to object storage',
  middleware: [requireScope('train'), idempotent()],
  request: { params: z.object({ id: z.string() }), body: jsonInput(CreateUploadRequest) },
  responses: { 201: jsonAnswer(Upload, 'PUT each part to its URL and keep the ETag.'), ...creationProblems('not_found', 'conflict') },
});

export const getUploadRoute = createRoute({
  method: 'get',
  path: '/v1/datasets/{id}/uploads/{upload}',
  operationId: 'getUpload',
  tags,
  summary: 'Read an upload; while it is open its URLs are made again',
  middleware: [requireScope('train')],
  request: { params },
  responses: { 200: jsonAnswer(Upload, 'The upload.'), ...problemResponses('not_found') },
});

export const completeUploadRoute = createRoute({
  method: 'post',
  path: '/v1/datasets/{id}/uploads/{upload}/complete',
  operationId: 'completeUpload',
  tags,
  summary: 'Join the parts and send the dataset to validation',
  description:
    'May be repeated. A dataset whose inspection failed by no fault of its upload is inspected again by itself, up to five times in all; when it is `invalid` after that, its error says so, and this call has the same upload inspected again: nothing need be sent twice.',
  middleware: [requireScope('train')],
  request: { params, body: jsonInput(CompleteUploadRequest) },
  responses: { 200: jsonAnswer(Dataset, 'The dataset.'), ...bodyProblems('not_found', 'conflict', 'upload_incomplete') },
});

export const abortUploadRoute = createRoute({
  method: 'post',
  path: '/v1/datasets/{id}/uploads/{upload}/abort',
  operationId: 'abortUpload',
  tags,
  summary: 'Give an upload up',
  middleware: [requireScope('train')],
  request: { params },
  responses: { 200: jsonAnswer(Upload, 'The upload, aborted.'), ...problemResponses('not_found', 'conflict') },
});
