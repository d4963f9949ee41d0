/**
 * Counts predictions without a database write for each: they add up in this isolate for FLUSH_AFTER_MS and are written together. An isolate that
 * dies in between loses the last second's count, in the caller's favour.
 */
import type { Deps } from '../../deps.ts';
import { addUsage } from '../../stores/usage.ts';
import { forTheLog } from '../../domain/for-the-log.ts';

const FLUSH_AFTER_MS = 1_000;
/** Longer than a flush takes; one that is older went down with the request that it waited in (ended early by the platform), and another takes its place. */
const LOST_AFTER_MS = 30_000;
const counted = new Map<string, number>();
let flushingSince: number | null = null;

/** @param background `waitUntil` of the request: the platform keeps the isolate until the count is written */
export function recordPredictions(deps: Pick<Deps, 'db' | 'now'>, tenant: string, count: number, background: (work: Promise<unknown>) => void): void {
  counted.set(tenant, (counted.get(tenant) ?? 0) + count);
  const now = deps.now();
  if (flushingSince !== null && now - flushingSince < LOST_AFTER_MS) return;
  flushingSince = now;
  background(flushLater(deps));
}

async function flushLater(deps: Pick<Deps, 'db' | 'now'>): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, FLUSH_AFTER_MS));
  flushingSince = null;
  const taken = [...counted];
  counted.clear();
  const [first, ...rest] = taken.map(([tenant, count]) => addUsage(deps.db, tenant, 'predictions', count, deps.now()));
  if (!first) return;
  try {
    await deps.db.batch([first, ...rest]);
  } catch (error) {
    for (const [tenant, count] of taken) counted.set(tenant, (counted.get(tenant) ?? 0) + count);
    console.warn(JSON.stringify({ message: 'predictions could not be counted yet', error: forTheLog(error) }));
  }
}
