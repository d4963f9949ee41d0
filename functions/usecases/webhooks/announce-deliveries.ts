/** Puts deliveries into the queue. The rows are the truth: what the queue does not take, the sweep announces again. */
import type { Deps } from '../../deps.ts';
import { forTheLog } from '../../domain/for-the-log.ts';

/** Cloudflare Queues' limits: messages in a batch, and the longest delay of one. */
const BATCH = 100;
export const DELAY_MAX_SECONDS = 43_200;

export async function announceDeliveries(deps: Pick<Deps, 'deliveries'>, ids: readonly string[], delaySeconds = 0): Promise<void> {
  try {
    for (let at = 0; at < ids.length; at += BATCH) {
      const messages = ids.slice(at, at + BATCH).map((delivery) => ({ body: { kind: 'deliver' as const, delivery }, delaySeconds }));
      await deps.deliveries.sendBatch(messages);
    }
  } catch (error) {
    console.warn(
      JSON.stringify({ message: 'the queue did not take deliveries; the next sweep announces them', count: ids.length, error: forTheLog(error) }),
    );
  }
}
