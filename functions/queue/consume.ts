/** The queue's consumer: each message wakes work that a row records, so every message may come twice, late or never. */
import type { Deps } from '../deps.ts';
import type { QueueMessage } from '../domain/queue-message.ts';
import { deliver } from '../usecases/webhooks/deliver.ts';
import { fanOut } from '../usecases/webhooks/fan-out.ts';

/** Events of one round; more mean that another round is due. */
const ROUNDS_MAX = 20;
const RETRY_SECONDS = 10;

export async function consumeQueue(batch: MessageBatch<QueueMessage>, deps: Deps): Promise<void> {
  if (batch.messages.some((message) => message.body.kind === 'sweep')) {
    // Several wake-ups in one batch empty the same outbox once.
    for (let round = 0; round < ROUNDS_MAX && (await fanOut(deps)) > 0; round++);
  }
  await Promise.all(
    batch.messages.map(async (message) => {
      try {
        if (message.body.kind === 'deliver') await deliver(deps, message.body.delivery);
        message.ack();
      } catch (error) {
        console.error(JSON.stringify({ message: 'a queue message failed', body: message.body, error: String(error) }));
        message.retry({ delaySeconds: RETRY_SECONDS });
      }
    }),
  );
}
