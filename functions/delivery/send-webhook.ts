/** One POST to a receiver. It follows no redirect, reads no answer and never throws for what the receiver does. */
import { WEBHOOK_TIMEOUT_MS } from '../../shared/limits.ts';
import { webhookUrlFault } from '../domain/webhook-url.ts';
import type { SendResult } from '../domain/webhook-retry.ts';
import { signatureHeader } from './standard-webhooks.ts';

export type Outgoing = {
  readonly url: string;
  readonly id: string;
  /** Seconds since the epoch, of this attempt. */
  readonly timestamp: number;
  readonly body: string;
  readonly secrets: readonly string[];
  readonly allowLoopback: boolean;
};

export async function sendWebhook(message: Outgoing): Promise<SendResult> {
  // Judged again at every attempt: the rules may have become stricter since the endpoint was made.
  const fault = webhookUrlFault(message.url, { allowLoopback: message.allowLoopback });
  if (fault) return { kind: 'no_answer', detail: `The webhook URL ${fault}.` };
  try {
    const response = await fetch(message.url, {
      method: 'POST',
      redirect: 'manual',
      signal: AbortSignal.timeout(WEBHOOK_TIMEOUT_MS),
      headers: {
        'content-type': 'application/json',
        'user-agent': 'Graft-Webhooks/1',
        'webhook-id': message.id,
        'webhook-timestamp': String(message.timestamp),
        'webhook-signature': await signatureHeader(message.secrets, message),
      },
      body: message.body,
    });
    await response.body?.cancel();
    return { kind: 'answered', status: response.status, retryAfter: response.headers.get('retry-after') };
  } catch (error) {
    const timedOut = error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError');
    return { kind: 'no_answer', detail: timedOut ? `No answer within ${WEBHOOK_TIMEOUT_MS / 1_000} s.` : 'The connection failed.' };
  }
}
