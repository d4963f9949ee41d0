/** Keeps one lease alive: heartbeats with the latest progress, and hands on what the job's owner or the clock decides. */
import type { Progress } from '../../shared/engine.ts';
import type { Lease } from '../../shared/runner.ts';
import { StaleLease, type WorkerApi } from './worker-api.ts';

export type EndReason = 'stale' | 'paused' | 'cancelled' | 'shutdown' | 'preempted';
/** Reason of a shutdown signal that comes because the machine is being taken back. */
export const PREEMPTED = 'preempted';

/** Of the time between two heartbeats: how long one may take, and how soon it is repeated when it came to nothing. */
const TIMEOUT_SHARE = 0.75;
const AGAIN_SHARE = 0.25;
const TIMEOUT_MIN_MS = 1_000;

export class LeaseKeeper {
  readonly #api: WorkerApi;
  readonly #lease: Lease;
  readonly #abort = new AbortController();
  /** On the monotonic clock, milliseconds: the machine's own may be set, or be minutes off the Worker's. */
  #expires: number;
  #timer: NodeJS.Timeout | undefined;
  #progress: Progress | null = null;
  #reason: EndReason | null = null;
  /** A host lives through many leases: none of them may stay with its signal. */
  readonly #letGo: () => void;

  constructor(api: WorkerApi, lease: Lease, shutdown: AbortSignal) {
    this.#api = api;
    this.#lease = lease;
    this.#expires = performance.now() + lease.expires_in_seconds * 1_000;
    const ended = (): void => this.end(shutdown.reason === PREEMPTED ? 'preempted' : 'shutdown');
    if (shutdown.aborted) ended();
    shutdown.addEventListener('abort', ended, { once: true });
    this.#letGo = () => shutdown.removeEventListener('abort', ended);
    this.#schedule(1);
  }

  get token(): string {
    return this.#lease.token;
  }
  /** Aborted when the work must stop; `reason` says why. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }
  get reason(): EndReason | null {
    return this.#reason;
  }
  set progress(value: Progress) {
    this.#progress = value;
  }

  end(reason: EndReason): void {
    this.#reason ??= reason;
    this.#abort.abort();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#letGo();
  }

  /** `share`: of the time between two heartbeats. */
  #schedule(share: number): void {
    this.#timer = setTimeout(() => {
      void this.#beat();
    }, this.#interval * share);
  }

  get #interval(): number {
    return this.#lease.heartbeat_seconds * 1_000;
  }

  async #beat(): Promise<void> {
    let next = 1;
    try {
      // One that hangs must leave the lease time for others.
      const timeout = Math.max(TIMEOUT_MIN_MS, this.#interval * TIMEOUT_SHARE);
      const asked = performance.now();
      const answer = await this.#api.heartbeat(this.token, { progress: this.#progress }, AbortSignal.timeout(timeout));
      this.#expires = asked + answer.expires_in_seconds * 1_000;
      if (answer.command === 'pause') this.end('paused');
      if (answer.command === 'cancel') this.end('cancelled');
    } catch (error) {
      // A Worker that is down for a moment is no reason to stop; an expired lease is.
      if (error instanceof StaleLease || performance.now() > this.#expires) this.end('stale');
      next = AGAIN_SHARE;
    }
    if (this.#timer !== undefined) this.#schedule(next);
  }
}
