/** What somebody who waits for a host wants to know: how many are before, and whether any host is there at all. */
import type { QueuePlace } from '../../../shared/wire/queue.ts';
import type { Deps } from '../../deps.ts';
import { queuePosition } from '../../stores/work-line.ts';
import { lastHostSeen, type WorkRow } from '../../stores/work.ts';

/** Null when the work does not wait. */
export async function queuePlace(deps: Pick<Deps, 'db' | 'now'>, work: WorkRow | null): Promise<QueuePlace | null> {
  if (work?.status !== 'queued') return null;
  const seen = await lastHostSeen(deps.db, work.kind);
  return {
    position: await queuePosition(deps.db, work, deps.now()),
    hosts_seen_seconds_ago: seen === null ? null : Math.max(0, Math.round((deps.now() - seen) / 1_000)),
  };
}
