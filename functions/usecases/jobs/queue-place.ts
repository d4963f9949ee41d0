/** What somebody who waits for a host wants to know: how many are before, and whether any host is there at all. */
import { WorkKind } from '../../../shared/jobs.ts';
import type { QueuePlace } from '../../../shared/wire/queue.ts';
import type { Deps } from '../../deps.ts';
import { queuePositions } from '../../stores/work-line.ts';
import { lastHostSeen, type WorkRow } from '../../stores/work.ts';

/** By id, of the work that waits. */
export async function queuePlaces(deps: Pick<Deps, 'db' | 'now'>, works: Iterable<WorkRow>): Promise<Map<string, QueuePlace>> {
  const waiting = [...works].filter((work) => work.status === 'queued');
  const places = new Map<string, QueuePlace>();
  for (const kind of WorkKind.options) {
    const ids = waiting.filter((work) => work.kind === kind).map((work) => work.id);
    if (ids.length === 0) continue;
    const [seen, positions] = await Promise.all([lastHostSeen(deps.db, kind), queuePositions(deps.db, kind, ids, deps.now())]);
    const hosts_seen_seconds_ago = seen === null ? null : Math.max(0, Math.round((deps.now() - seen) / 1_000));
    for (const [id, position] of positions) places.set(id, { position, hosts_seen_seconds_ago });
  }
  return places;
}
