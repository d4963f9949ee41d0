/** Notices that the machine is about to be taken back: a file that appears, or a URL that begins to say so (spot and preemptible machines). */
import { access } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { HostSettings } from './settings.ts';

const POLL_MS = 2_000;
const REQUEST_TIMEOUT_MS = 1_500;

/**
 * True when the answer of a metadata service is a notice. Amazon's `spot/instance-action` is 404 until there is one; Google's `instance/preempted` says
 * FALSE or TRUE; Azure's `scheduledevents` lists events, of which a Preempt or Terminate is one.
 */
export function isNotice(status: number, body: string): boolean {
  if (status !== 200) return false;
  const text = body.trim();
  const events = ScheduledEvents.safeParse(parsed(text));
  if (events.success) return events.data.Events.some((event) => event.EventType === 'Preempt' || event.EventType === 'Terminate');
  return text !== '' && !/^(false|none|0)$/i.test(text);
}

const ScheduledEvents = z.object({ Events: z.array(z.object({ EventType: z.string() })) });

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

type Where = Pick<HostSettings, 'GRAFT_PREEMPTION_FILE' | 'GRAFT_PREEMPTION_URL'>;

/** One look. A service that does not answer says nothing. */
export async function preempted(where: Where): Promise<boolean> {
  const file = where.GRAFT_PREEMPTION_FILE;
  const url = where.GRAFT_PREEMPTION_URL;
  if (
    file !== undefined &&
    (await access(file).then(
      () => true,
      () => false,
    ))
  )
    return true;
  if (url === undefined) return false;
  try {
    // What Google and Azure ask for; Amazon (version 1 of its service) does not mind.
    const headers = { 'metadata-flavor': 'Google', metadata: 'true' };
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    return isNotice(response.status, await response.text());
  } catch {
    return false;
  }
}

/** Whether a notice can come at all. */
export function mayBePreempted(where: Where): boolean {
  return where.GRAFT_PREEMPTION_FILE !== undefined || where.GRAFT_PREEMPTION_URL !== undefined;
}

/** Resolves when `preempted` is `wanted`; rejects when `stop` is aborted. */
export async function untilPreempted(where: Where, wanted: boolean, stop: AbortSignal): Promise<void> {
  while ((await preempted(where)) !== wanted) await sleep(POLL_MS, undefined, { signal: stop });
}
