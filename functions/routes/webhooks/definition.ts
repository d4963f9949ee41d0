import { createRoute, z } from '@hono/zod-openapi';
import { EVENTS_KEPT_DAYS } from '../../../shared/limits.ts';
import { CreateWebhookRequest, Delivery, UpdateWebhookRequest, Webhook, WebhookWithSecret } from '../../../shared/wire/webhooks.ts';
import { requireScope } from '../../http/auth.ts';
import { idempotent } from '../../http/idempotency.ts';
import { listOf, PageQuery } from '../../http/pages.ts';
import { problemResponses } from '../../http/problems.ts';
import { bodyProblems, creationProblems, jsonAnswer, jsonInput, onceProblems } from '../../http/route-parts.ts';

const tags = ['Events and webhooks'];
const params = z.object({ id: z.string() });
const base = { tags, middleware: [requireScope('admin')] };
const creating = { tags, middleware: [requireScope('admin'), idempotent()] };

export const createWebhookRoute = createRoute({
  ...creating,
  method: 'post',
  path: '/v1/webhooks',
  operationId: 'createWebhook',
  summary: 'Make a webhook',
  description: 'What is sent to it, how to verify it and when it is tried again: see `receiveEvent`.',
  request: { body: jsonInput(CreateWebhookRequest) },
  responses: { 201: jsonAnswer(WebhookWithSecret, 'The webhook. Its secret is shown this once.'), ...creationProblems('unprocessable') },
});

export const listWebhooksRoute = createRoute({
  ...base,
  method: 'get',
  path: '/v1/webhooks',
  operationId: 'listWebhooks',
  summary: 'List webhooks',
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(listOf(Webhook, 'WebhookList'), 'One page, newest first.'), ...problemResponses() },
});

export const getWebhookRoute = createRoute({
  ...base,
  method: 'get',
  path: '/v1/webhooks/{id}',
  operationId: 'getWebhook',
  summary: 'Read a webhook',
  request: { params },
  responses: { 200: jsonAnswer(Webhook, 'The webhook.'), ...problemResponses('not_found') },
});

export const updateWebhookRoute = createRoute({
  ...base,
  method: 'patch',
  path: '/v1/webhooks/{id}',
  operationId: 'updateWebhook',
  summary: 'Change, disable or enable a webhook',
  request: { params, body: jsonInput(UpdateWebhookRequest) },
  responses: { 200: jsonAnswer(Webhook, 'The webhook.'), ...bodyProblems('not_found', 'unprocessable') },
});

export const deleteWebhookRoute = createRoute({
  ...base,
  method: 'delete',
  path: '/v1/webhooks/{id}',
  operationId: 'deleteWebhook',
  summary: 'Delete a webhook',
  request: { params },
  responses: { 204: { description: 'Deleted.' }, ...problemResponses('not_found') },
});

export const rotateSecretRoute = createRoute({
  ...creating,
  method: 'post',
  path: '/v1/webhooks/{id}/rotate-secret',
  operationId: 'rotateWebhookSecret',
  summary: 'Make a new secret; the old one signs too for 24 hours',
  request: { params },
  responses: { 200: jsonAnswer(WebhookWithSecret, 'The webhook with its new secret.'), ...onceProblems('not_found', 'conflict') },
});

export const testWebhookRoute = createRoute({
  ...creating,
  method: 'post',
  path: '/v1/webhooks/{id}/test',
  operationId: 'testWebhook',
  summary: 'Send a webhook.test event',
  request: { params },
  responses: { 202: jsonAnswer(Delivery, 'The delivery, on its way.'), ...onceProblems('not_found', 'conflict') },
});

export const listDeliveriesRoute = createRoute({
  ...base,
  method: 'get',
  path: '/v1/webhooks/{id}/deliveries',
  operationId: 'listWebhookDeliveries',
  summary: 'List deliveries with their last answer',
  description: `Deliveries that are over are kept for ${EVENTS_KEPT_DAYS} days, and so long they can be sent again.`,
  request: { params, query: PageQuery },
  responses: { 200: jsonAnswer(listOf(Delivery, 'WebhookDeliveryList'), 'One page, newest first.'), ...problemResponses('not_found') },
});

export const redeliverRoute = createRoute({
  ...creating,
  method: 'post',
  path: '/v1/webhooks/{id}/deliveries/{delivery}/redeliver',
  operationId: 'redeliverWebhook',
  summary: 'Send a delivery again',
  request: { params: z.object({ id: z.string(), delivery: z.string() }) },
  responses: { 202: jsonAnswer(Delivery, 'The delivery, on its way.'), ...onceProblems('not_found', 'conflict') },
});
