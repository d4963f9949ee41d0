/** What receivers get, for the `webhooks` part of the OpenAPI document: the one call that Graft makes and callers answer. */
import { z } from '@hono/zod-openapi';
import { WEBHOOK_MAX_BYTES, WEBHOOK_RETRY_SECONDS, WEBHOOK_TIMEOUT_MS } from '../../../shared/limits.ts';
import { WebhookPayload } from '../../../shared/wire/webhooks.ts';

function spoken(seconds: number): string {
  if (seconds >= 3_600) return `${seconds / 3_600} h`;
  return seconds >= 60 ? `${seconds / 60} min` : `${seconds} s`;
}

const schedule = WEBHOOK_RETRY_SECONDS.slice(1).map(spoken).join(', ');
const description = `Standard Webhooks 1.0: any of its libraries verifies a delivery with the \`whsec_…\` secret. \`webhook-signature\` is
\`v1,\` and the base64 of HMAC-SHA256 over \`webhook-id\`, \`webhook-timestamp\` and the body as it came, joined with dots; the key is what follows
\`whsec_\`, base64-decoded. After a rotation there are two, separated by a blank, for 24 hours. \`webhook-id\` is the same at every attempt: keep it to
tell a repetition.

Answer 2xx within ${WEBHOOK_TIMEOUT_MS / 1_000} s. Everything else, a redirect too, is tried again after ${schedule}, each with jitter, or later where \`Retry-After\` says so;
410 disables the webhook. Deliveries may come more than once and in another order: \`timestamp\` is when it happened. Bodies stay under ${WEBHOOK_MAX_BYTES / 1_000} kB; what
\`data\` names by its id can be read with that.`;

export const receiver = {
  method: 'post' as const,
  path: 'event',
  operationId: 'receiveEvent',
  tags: ['Events and webhooks'],
  summary: 'What a receiver gets',
  description,
  security: [],
  request: {
    headers: z.object({
      'webhook-id': z.string().meta({ description: 'The id of the event.' }),
      'webhook-timestamp': z.string().meta({ description: 'Seconds since 1970, of this attempt.' }),
      'webhook-signature': z.string(),
    }),
    body: { content: { 'application/json': { schema: WebhookPayload } } },
  },
  responses: { '2XX': { description: 'Taken.' }, 410: { description: 'Never again: the webhook is disabled.' } },
};
