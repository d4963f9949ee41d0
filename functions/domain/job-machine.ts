/** What may happen to a training job, and what the lease holder is told. Pure: stores turn the answers into conditional statements. */
import { JOB_MOVES, JobStatus, type EventType } from '../../shared/jobs.ts';
import { JOB_MAX_ATTEMPTS } from '../../shared/limits.ts';

/** Every status from which a job may go to `to`: the `where status in (…)` of the statement that moves it. */
export function sourcesOf(to: JobStatus): JobStatus[] {
  return JobStatus.options.filter((from) => JOB_MOVES[from].includes(to));
}

export function mayMove(from: JobStatus, to: JobStatus): boolean {
  return JOB_MOVES[from].includes(to);
}

export function isFinal(status: JobStatus): boolean {
  return JOB_MOVES[status].length === 0;
}

/** The public event of a status; `validating` is a step that hosts see, not one that callers subscribe to. */
export function eventOf(status: JobStatus): EventType | null {
  return status === 'validating' ? null : `training.job.${status}`;
}

export type OwnerWish = 'cancel' | 'pause' | 'resume';
export type WishOutcome =
  | { readonly kind: 'move'; readonly to: JobStatus }
  /** A host holds it: it stops at its next heartbeat, and its release moves the job. */
  | { readonly kind: 'ask_host'; readonly command: 'pause' | 'continue' }
  /** It is so already. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'refused'; readonly detail: string };

/**
 * What a caller's wish does to a job in `status`. Cancelling takes effect at once, whoever holds the job: its completion will be refused.
 * Pausing waits for the host, so that the last checkpoint is not lost.
 */
export function decideWish(wish: OwnerWish, status: JobStatus): WishOutcome {
  if (wish === 'cancel') {
    if (status === 'cancelled') return { kind: 'nothing' };
    return isFinal(status) ? refuse(wish, status) : { kind: 'move', to: 'cancelled' };
  }
  if (wish === 'pause') {
    if (status === 'paused') return { kind: 'nothing' };
    if (status === 'queued') return { kind: 'move', to: 'paused' };
    return status === 'validating' || status === 'running' ? { kind: 'ask_host', command: 'pause' } : refuse(wish, status);
  }
  if (status === 'paused') return { kind: 'move', to: 'queued' };
  if (status === 'queued') return { kind: 'nothing' };
  return status === 'validating' || status === 'running' ? { kind: 'ask_host', command: 'continue' } : refuse(wish, status);
}

function refuse(wish: OwnerWish, status: JobStatus): WishOutcome {
  return { kind: 'refused', detail: `A job that is ${status} cannot be ${{ cancel: 'cancelled', pause: 'paused', resume: 'resumed' }[wish]}.` };
}

/** First wait after a failed attempt; doubles up to the cap, so a host that crashes at once does not spin. */
const BACKOFF_FIRST_MS = 5_000;
const BACKOFF_MAX_MS = 300_000;

export type AfterFailure = { readonly kind: 'requeue'; readonly availableAt: number } | { readonly kind: 'dead' };

/** What follows an attempt that ended without a completion. `attempts` counts leases so far, this one included. */
export function afterFailure(attempts: number, retryable: boolean, now: number): AfterFailure {
  if (!retryable || attempts >= JOB_MAX_ATTEMPTS) return { kind: 'dead' };
  return { kind: 'requeue', availableAt: now + Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.max(0, attempts - 1)) };
}
