/** Keeps one lease alive: heartbeats with the latest progress, and hands on what the job's owner or the clock decides. */
import type { Progress } from '../../shared/engine.ts';
import type { Lease } from '../../shared/runner.ts';
import { StaleLease, type WorkerApi } from './worker-api.ts';

export type EndReason = 'stale' | 'paused' | 'cancelled' | 'shutdown' | 'preempted';
/** Reason of a shutdown signal that comes because the machine is being taken back. */
export const PREEMPTED = 'preempted';

export class LeaseKeeper {
  readonly #api: WorkerApi;
  readonly #lease: Lease;
  readonly #abort = new AbortController();
  #expires: number;
  #timer: NodeJS.Timeout | undefined;
  #progress: Progress | null = null;
  #reason: EndReason | null = null;

  constructor(api: WorkerApi, lease: Lease, shutdown: AbortSignal) {
    this.#api = api;
    this.#lease = lease;
    this.#expires = Date.parse(lease.expires_at);
    const ended = (): void => this.end(shutdown.reason === PREEMPTED ? 'preempted' : 'shutdown');
    if (shutdown.aborted) ended();
    shutdown.addEventListener('abort', ended, { once: true });
    this.#schedule();
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
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      void this.#beat();
    }, this.#lease.heartbeat_seconds * 1_000);
  }

  async #beat(): Promise<void> {
    try {
      const answer = await this.#api.heartbeat(this.token, { progress: this.#progress });
      this.#expires = Date.parse(answer.expires_at);
      if (answer.command === 'pause') this.end('paused');
      if (answer.command === 'cancel') this.end('cancelled');
    } catch (error) {
      // A Worker that is down for a moment is no reason to stop; an expired lease is.
      if (error instanceof StaleLease || Date.now() > this.#expires) this.end('stale');
    }
    if (this.#timer !== undefined) this.#schedule();
  }
}
