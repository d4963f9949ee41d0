/**
 * A job's log as Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html). Log lines carry their sequence as `id`, so a
 * client that reconnects with Last-Event-ID misses none and gets none twice; live `progress` carries none, because only the newest counts.
 */
import type { JobStatus } from '../../../shared/jobs.ts';
import type { AnyJob, JobEvent } from '../../../shared/wire/jobs.ts';

const POLL_MS = 1_000;
/** Proxies cut connections that say nothing for longer. */
const KEEP_ALIVE_MS = 15_000;
const PAGE = 100;
const FINAL: ReadonlySet<JobStatus> = new Set(['succeeded', 'failed', 'cancelled']);

export type EventSource = {
  readonly eventsAfter: (sequence: number, limit: number) => Promise<JobEvent[]>;
  readonly job: () => Promise<AnyJob>;
};

function message(event: string, data: unknown, id?: number): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

export function streamJobEvents(source: EventSource, after: number): Response {
  let cancelled = false;
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const send = (text: string) => controller.enqueue(encoder.encode(text));
      let sequence = after;
      let progress = '';
      let spokeAt = Date.now();
      try {
        send('retry: 2000\n\n');
        while (!cancelled) {
          // The status is read first: what was logged before a final status is then certainly in the pages after it.
          const job = await source.job();
          let page: JobEvent[];
          do {
            page = await source.eventsAfter(sequence, PAGE);
            for (const event of page.slice(0, PAGE)) {
              send(message(event.type, event, event.id));
              sequence = event.id;
              spokeAt = Date.now();
            }
          } while (page.length > PAGE && !cancelled);
          const live = JSON.stringify(job.progress);
          if (job.progress && live !== progress) {
            progress = live;
            send(message('progress', { object: 'training.job.progress', job: job.id, data: job.progress }));
            spokeAt = Date.now();
          }
          if (FINAL.has(job.status)) break;
          if (Date.now() - spokeAt > KEEP_ALIVE_MS) {
            send(': still here\n\n');
            spokeAt = Date.now();
          }
          await new Promise((resolve) => setTimeout(resolve, POLL_MS));
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
