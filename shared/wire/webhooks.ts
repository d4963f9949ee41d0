/** Bodies of `/v1/events` and `/v1/webhooks`. */
import { z } from 'zod';
import { EVENT_TYPES } from '../jobs.ts';

export const Event = z
  .object({
    object: z.literal('event'),
    id: z.string(),
    type: z.enum(EVENT_TYPES),
    data: z.record(z.string(), z.unknown()),
    created_at: z.string(),
  })
  .meta({ id: 'Event' });
export type Event = z.infer<typeof Event>;

export const URL_MAX_CHARS = 2_000;
const PATTERNS_MAX = 50;
const Url = z.string().min(1).max(URL_MAX_CHARS);
const Patterns = z
  .array(z.string().min(1).max(100))
  .min(1)
  .max(PATTERNS_MAX)
  .meta({ description: `Types of events, in which \`*\` stands for any text: \`training.job.*\`. There are: ${EVENT_TYPES.join(', ')}.` });
const Description = z.string().max(500).nullable();

export const CreateWebhookRequest = z
  .strictObject({ url: Url, events: Patterns.default(['*']), description: Description.optional() })
  .meta({ id: 'CreateWebhookRequest' });
export type CreateWebhookRequest = z.infer<typeof CreateWebhookRequest>;

export const UpdateWebhookRequest = z
  .strictObject({ url: Url.optional(), events: Patterns.optional(), description: Description.optional(), disabled: z.boolean().optional() })
  .meta({ id: 'UpdateWebhookRequest' });
export type UpdateWebhookRequest = z.infer<typeof UpdateWebhookRequest>;

export const Webhook = z
  .object({
    object: z.literal('webhook'),
    id: z.string(),
    url: z.string(),
    description: z.string().nullable(),
    events: z.array(z.string()),
    disabled: z.boolean(),
    disabled_reason: z.string().nullable(),
    previous_secret_until: z.string().nullable().meta({ description: 'Until then the secret before the last rotation signs too.' }),
    created_at: z.string(),
  })
  .meta({ id: 'Webhook' });
export type Webhook = z.infer<typeof Webhook>;

/** `secret` (whsec_…) is shown here and never again. */
export const WebhookWithSecret = Webhook.extend({ secret: z.string() }).meta({ id: 'WebhookWithSecret' });
export type WebhookWithSecret = z.infer<typeof WebhookWithSecret>;

export const Delivery = z
  .object({
    object: z.literal('webhook.delivery'),
    id: z.string(),
    webhook: z.string(),
    event: z.string(),
    status: z.enum(['pending', 'sending', 'delivered', 'failed']),
    attempts: z.number().int(),
    next_attempt_at: z.string().nullable(),
    last_status: z.number().int().nullable(),
    last_error: z.string().nullable(),
    created_at: z.string(),
    delivered_at: z.string().nullable(),
  })
  .meta({ id: 'WebhookDelivery' });
export type Delivery = z.infer<typeof Delivery>;

/** What a receiver gets (Standard Webhooks 1.0). */
export const WebhookPayload = z
  .object({ type: z.enum(EVENT_TYPES), timestamp: z.string(), data: z.record(z.string(), z.unknown()) })
  .meta({ id: 'WebhookPayload' });
export type WebhookPayload = z.infer<typeof WebhookPayload>;
