/** Records that something happened. The row is the truth; the queue message only makes the webhooks of it leave soon instead of at the next sweep. */
import type { EventType } from '../../../shared/jobs.ts';
import type { Deps } from '../../deps.ts';
import { insertEvent, insertEventIfChanged } from '../../stores/events.ts';
import { forTheLog } from '../../domain/for-the-log.ts';

export type Happening = { readonly tenant: string; readonly type: EventType; readonly data: unknown };

/**
 * Writes one event on its own. Use `eventStatementIfChanged` when another row changes with it.
 * @param id of an event that may be told more than once and happened once
 */
export async function recordEvent(
  deps: Pick<Deps, 'db' | 'newId' | 'now' | 'deliveries'>,
  happening: Happening,
  id = deps.newId('event'),
): Promise<{ id: string }> {
  await insertEvent(deps.db, { ...happening, id, now: deps.now() });
  await wakeOutbox(deps);
  return { id };
}

/** For `deps.db.batch([…])`: written only if the statement directly before it changed a row. Call `wakeOutbox` after the batch. */
export function eventStatementIfChanged(deps: Pick<Deps, 'db' | 'newId' | 'now'>, happening: Happening) {
  return insertEventIfChanged(deps.db, { ...happening, id: deps.newId('event'), now: deps.now() });
}

/** Never throws: the cron sweep finds every event that no message announced. */
export async function wakeOutbox(deps: Pick<Deps, 'deliveries'>): Promise<void> {
  try {
    await deps.deliveries.send({ kind: 'sweep' });
  } catch (error) {
    console.warn(JSON.stringify({ message: 'the queue did not take a wake-up; the next sweep will do its work', error: forTheLog(error) }));
  }
}
