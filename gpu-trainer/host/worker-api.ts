/** `/runner/v1` from the host's side. Every answer is parsed; 409 means that the lease is somebody else's, and ends the work at once. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { EVENT_MESSAGE_MAX_CHARS, FAIL_DETAIL_MAX_CHARS } from '../../shared/limits.ts';
import {
  ArtifactsResponse,
  CheckpointResponse,
  CompleteResponse,
  HeartbeatResponse,
  IncumbentResponse,
  Lease,
  PartResponse,
  type CompleteRequest,
  type HostEvent,
  type JoinRequest,
  type LeaseRequest,
  type PartRequest,
} from '../../shared/runner.ts';
import { cut } from './cut.ts';

export class StaleLease extends Error {
  override readonly name = 'StaleLease';
}
/** The Worker refused for good: repeating the same request cannot help. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly status: number;
  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

const REQUEST_TIMEOUT_MS = 60_000;
/** Most likely there is nothing to give back. */
const GIVE_BACK_MS = 3_000;
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5_000;
const Refusal = z.object({ detail: z.string() });

/** Null where what refused is not the Worker: a proxy answers with a page. */
function detailOf(text: string): string | null {
  try {
    return Refusal.safeParse(JSON.parse(text)).data?.detail ?? null;
  } catch {
    return null;
  }
}

export type WorkerApi = ReturnType<typeof makeWorkerApi>;

export function makeWorkerApi(url: string, token: string) {
  const once = async (path: string, body: unknown, signal?: AbortSignal): Promise<{ status: number; body: unknown }> => {
    const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const response = await fetch(new URL(path, url), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    const text = await response.text();
    if (response.status === 409) throw new StaleLease('the lease has expired or passed to another host');
    if (response.status >= 500 || response.status === 429) throw new Error(`the Worker answered ${response.status}`);
    if (!response.ok) throw new Refused(response.status, detailOf(text) ?? `the Worker answered ${response.status}`);
    return { status: response.status, body: text === '' ? null : JSON.parse(text) };
  };
  /** Network errors and 5xx are repeated with jittered back-off until `untilMs`; refusals and stale leases are not. */
  const repeat = async (path: string, body: unknown, untilMs: number): Promise<unknown> => {
    for (let wait = RETRY_FIRST_MS; ; wait = Math.min(wait * 2, RETRY_MAX_MS)) {
      try {
        return (await once(path, body)).body;
      } catch (error) {
        if (error instanceof StaleLease || error instanceof Refused || performance.now() + wait > untilMs) throw error;
        await sleep(wait * (0.5 + Math.random()));
      }
    }
  };
  /** Events of this host so far, over all leases: a lease is held by one host from its beginning to its end. */
  let told = 0;
  const PATIENCE_MS = 10 * 60_000;
  const until = (): number => performance.now() + PATIENCE_MS;
  const of = (lease: string, verb: string): string => `/runner/v1/leases/${lease}/${verb}`;
  return {
    /**
     * Makes one that asks for work. Asking again after a failure it asks with the same token, and gets what it may have been given when the answer was
     * lost; stopped, it gives that back.
     */
    leasing: () => {
      let token: string | null = null;
      return async (request: Omit<LeaseRequest, 'token'>, signal: AbortSignal): Promise<Lease | null> => {
        const mine = (token ??= `lease_${randomBytes(32).toString('hex')}`);
        try {
          const answer = await once('/runner/v1/lease', { ...request, token: mine }, signal);
          token = null;
          return answer.status === 204 ? null : Lease.parse(answer.body);
        } catch (error) {
          if (signal.aborted) await once(of(mine, 'release'), { reason: 'shutdown' }, AbortSignal.timeout(GIVE_BACK_MS)).catch(() => undefined);
          throw error;
        }
      };
    },
    heartbeat: async (lease: string, body: { progress?: unknown }, signal: AbortSignal) =>
      HeartbeatResponse.parse((await once(of(lease, 'heartbeat'), body, signal)).body),
    events: async (lease: string, events: HostEvent[]): Promise<void> => {
      const taken = events.map((event) => (event.type === 'log' ? { ...event, message: cut(event.message, EVENT_MESSAGE_MAX_CHARS) } : event));
      const first = told + 1;
      told += taken.length;
      await repeat(of(lease, 'events'), { events: taken, first }, performance.now() + 15_000);
    },
    incumbent: async (lease: string, body: { version: number; without: readonly string[] }) =>
      IncumbentResponse.parse(await repeat(of(lease, 'incumbent'), body, until())),
    artifacts: async (lease: string, files: { name: string; sha256: string; bytes: number }[]) =>
      ArtifactsResponse.parse(await repeat(of(lease, 'artifacts'), { files }, until())),
    part: async (lease: string, body: PartRequest) => PartResponse.parse(await repeat(of(lease, 'part'), body, until())),
    join: async (lease: string, body: JoinRequest): Promise<void> => {
      await repeat(of(lease, 'join'), body, until());
    },
    checkpoint: async (lease: string, body: { epoch: number; sha256: string; bytes: number; stored: boolean }) =>
      CheckpointResponse.parse(await repeat(of(lease, 'checkpoint'), body, until())),
    complete: async (lease: string, body: CompleteRequest) => CompleteResponse.parse(await repeat(of(lease, 'complete'), body, until())),
    fail: async (lease: string, body: { code: string; detail: string; retryable: boolean; blame: 'caller' | 'graft' }): Promise<void> => {
      // An engine may say more than the Worker takes. Refused, its failure would be told as one of the host's own, and be repeated.
      await repeat(of(lease, 'fail'), { ...body, detail: cut(body.detail, FAIL_DETAIL_MAX_CHARS) }, until());
    },
    release: async (lease: string, reason: 'shutdown' | 'paused' | 'cancelled'): Promise<void> => {
      await repeat(of(lease, 'release'), { reason }, performance.now() + 10_000);
    },
  };
}
