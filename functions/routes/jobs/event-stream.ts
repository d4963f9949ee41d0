/**
 * A job's log as Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html). Log lines carry their sequence as `id`, so a
 * client that reconnects with Last-Event-ID misses none and gets none twice; live `progress` carries none, because only the newest counts.
 *
 * There is nothing to subscribe to in D1, so it looks: each second while a host has the job, and less and less often while none has, because then only its
 * owner or a host that comes can change it.
 */
import type { JobStatus } from '../../../shared/jobs.ts';
import type { JobLook } from '../../usecases/jobs/read-jobs.ts';

const ACTIVE_MS = 1_000;
const IDLE_MAX_MS = 5_000;
const IDLE_GROWTH = 1.5;
/** Proxies cut connections that say nothing for longer. */
const KEEP_ALIVE_MS = 15_000;
export const STREAM_PAGE = 100;
/** D1 answers 1,000 queries of one request, and a look is two. Then the stream ends, and who wants more connects again, as an EventSource does by itself. */
export const LOOKS_MAX = 450;
const ACTIVE: ReadonlySet<JobStatus> = new Set(['validating', 'running']);
const FINAL: ReadonlySet<JobStatus> = new Set(['succeeded', 'failed', 'cancelled']);

/** Status, progress and at most `limit` + 1 events after `sequence`, all of one moment. */
export type Look = (sequence: number, limit: number) => Promise<JobLook>;

/** How long to wait until the next look; `before`: how long the last wait was. @param spoke the last look found something new */
export function nextWait(status: JobStatus, spoke: boolean, before: number): number {
  return spoke || ACTIVE.has(status) ? ACTIVE_MS : Math.min(IDLE_MAX_MS, before * IDLE_GROWTH);
}

function message(event: string, data: unknown, id?: number): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/**
 * 204 to whoever has read a finished job's log to its end: an EventSource takes an end for a cut and connects again every few seconds, until a 204 tells
 * it to stop.
 *
 * @param first what was seen after `after`, so that a job that is not there is an answer of its own and not a broken stream
 */
export function streamJobEvents(job: string, look: Look, first: JobLook, after: number): Response {
  if (after > 0 && FINAL.has(first.status) && first.events.length === 0) return new Response(null, { status: 204 });
  let cancelled = false;
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const send = (text: string) => controller.enqueue(encoder.encode(text));
      let sequence = after;
      let progress = '';
      let spokeAt = Date.now();
      let wait = ACTIVE_MS;
      let looks = 0;
      try {
        send('retry: 2000\n\n');
        for (let seen = first; !cancelled && looks < LOOKS_MAX; seen = await look(sequence, STREAM_PAGE)) {
          looks += 1;
          let spoke = false;
          for (const event of seen.events.slice(0, STREAM_PAGE)) {
            send(message(event.type, event, event.id));
            sequence = event.id;
            spoke = true;
          }
          // More pages first: the end of the log belongs to the status.
          if (seen.events.length > STREAM_PAGE) continue;
          const live = JSON.stringify(seen.progress);
          if (seen.progress && live !== progress) {
            progress = live;
            send(message('progress', { object: 'training.job.progress', job, data: seen.progress }));
            spoke = true;
          }
          if (FINAL.has(seen.status)) break;
          if (spoke) spokeAt = Date.now();
          else if (Date.now() - spokeAt > KEEP_ALIVE_MS) {
            send(': still here\n\n');
            spokeAt = Date.now();
          }
          wait = nextWait(seen.status, spoke, wait);
          await new Promise((resolve) => setTimeout(resolve, wait));
        }
        if (!cancelled) controller.close();
      } catch (error) {
        if (!cancelled) controller.error(error);
      }
    },
    cancel() {
      cancelled = true;
    },
  });
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' },
  });
}
