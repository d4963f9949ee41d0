/** The queue's consumer: each message wakes work that a row records, so every message may come twice, late or never. */
import type { Deps } from '../deps.ts';
import { inTurns } from '../domain/in-turns.ts';
import type { QueueMessage } from '../domain/queue-message.ts';
import { wakeOutbox } from '../usecases/events/record-event.ts';
import { deliver } from '../usecases/webhooks/deliver.ts';
import { fanOut } from '../usecases/webhooks/fan-out.ts';
import { forTheLog } from '../domain/for-the-log.ts';

/** An invocation may make 1,000 queries; a round of the outbox makes up to 150, and the messages of a batch five each. */
const ROUNDS_MAX = 5;
const RETRY_SECONDS = 10;

export async function consumeQueue(batch: MessageBatch<QueueMessage>, deps: Deps): Promise<void> {
  if (batch.messages.some((message) => message.body.kind === 'sweep')) {
    // Several wake-ups in one batch empty the same outbox once.
    let round = 0;
    while (round < ROUNDS_MAX && (await fanOut(deps)) > 0) round++;
    if (round === ROUNDS_MAX) await wakeOutbox(deps);
  }
  await inTurns(batch.messages, async (message) => {
    try {
      if (message.body.kind === 'deliver') await deliver(deps, message.body.delivery);
      message.ack();
    } catch (error) {
      console.error(JSON.stringify({ message: 'a queue message failed', body: message.body, error: forTheLog(error) }));
      message.retry({ delaySeconds: RETRY_SECONDS });
    }
  });
}
