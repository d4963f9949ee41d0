/** Ends a lease without a completion: the host failed, gave the work back, or was not heard of any more. */
import { LEASE_TTL_SECONDS } from '../../../shared/limits.ts';
import type { JobError } from '../../../shared/wire/jobs.ts';
import { afterFailure } from '../../domain/job-machine.ts';
import type { Deps } from '../../deps.ts';
import { finishValidationIfChanged, getDataset } from '../../stores/datasets.ts';
import { getJob, moveJobIfChanged } from '../../stores/jobs.ts';
import { addUsageIfChanged } from '../../stores/usage.ts';
import { endLease, findLease, type WorkRow } from '../../stores/work.ts';
import { eventStatementIfChanged, wakeOutbox } from '../events/record-event.ts';
import { tellMove, type Statement } from '../jobs/job-moves.ts';

export type Cause =
  | { readonly kind: 'released' }
  | { readonly kind: 'expired' }
  /** No host could have done anything: a part of ours that the work's inputs come from does not answer. */
  | { readonly kind: 'postponed'; readonly detail: string }
  | { readonly kind: 'failed'; readonly error: Omit<JobError, 'attempts'> };

type Needs = Pick<Deps, 'db' | 'deliveries' | 'newId' | 'now'>;

/** An outage of minutes is looked at a few times, and ends no job. */
const POSTPONED_MS = 60_000;
type Next = Parameters<typeof endLease>[2];

/** True when this call ended the lease; false when it had passed on already, or was renewed before it was found to have run out. */
export async function endAttempt(deps: Needs, work: WorkRow, cause: Cause): Promise<boolean> {
  for (let seen = work; seen.tokenHash !== null;) {
    if (await endAs(deps, seen, seen.tokenHash, cause)) return true;
    const now = await findLease(deps.db, seen.tokenHash);
    // Its owner wants something else by now: what follows is decided again. A cancelled job would otherwise wait for a host once more.
    if (!now || now.pending !== null || now.command === seen.command) return false;
    seen = now;
  }
  return false;
}

async function endAs(deps: Needs, work: WorkRow, tokenHash: string, cause: Cause): Promise<boolean> {
  const now = deps.now();
  const next = decide(work, cause, now);
  const end = endLease(deps.db, { id: work.id, tokenHash, command: work.command, expiredBefore: cause.kind === 'expired' ? now : null, now }, next);
  const follow = work.kind === 'train' ? await jobFollows(deps, work, cause, next) : await datasetFollows(deps, work, cause, next);
  const results: unknown[] = await deps.db.batch([end, ...spent(deps, work, cause), ...follow]);
  const ended = (results[0] as D1Result).meta.changes > 0;
  if (ended) await wakeOutbox(deps);
  return ended;
}

function decide(work: WorkRow, cause: Cause, now: number): Next {
  const base = { availableAt: work.availableAt, attempts: work.attempts, command: 'continue' as const, leasedAt: work.leasedAt };
  if (work.command === 'cancel') return { ...base, status: 'dead', command: 'cancel' };
  // Giving back is no failed attempt, and no turn that the tenant had: the work keeps its place.
  if (cause.kind === 'released' || cause.kind === 'postponed') {
    const availableAt = cause.kind === 'postponed' ? now + POSTPONED_MS : work.availableAt;
    return { ...base, status: work.command === 'pause' ? 'held' : 'queued', attempts: Math.max(0, work.attempts - 1), leasedAt: null, availableAt };
  }
  const ours = blameOf(cause) === 'graft';
  // Another host may read what this one could not: an inspection that failed by our fault is always tried again.
  const again = cause.kind === 'expired' || cause.error.retryable || (work.kind === 'validate' && ours);
  const after = afterFailure(work.attempts, again, now);
  // An upload that no host could read is kept, and its inspection with it, until the tenant asks again.
  if (after.kind === 'dead') return { ...base, status: work.kind === 'validate' && ours ? 'held' : 'dead' };
  if (work.command === 'pause') return { ...base, status: 'held' };
  // A host that vanished says nothing against the work: the next host may have it at once.
  return { ...base, status: 'queued', ...(cause.kind === 'expired' ? { leasedAt: null } : { availableAt: after.availableAt }) };
}

/**
 * The time that a host held the job, which its tenant used: a failure of the job's own, a pause, a cancellation, and what was given back, because the
 * next host goes on from there. Not what a failure of ours took. It is directly after the end of the lease, and what follows goes on if it changed a row.
 */
function spent(deps: Needs, work: WorkRow, cause: Cause): Statement[] {
  const ours = cause.kind !== 'released' && blameOf(cause) === 'graft' && work.command !== 'cancel';
  if (work.kind !== 'train' || work.leasedAt === null || ours) return [];
  const until = cause.kind === 'expired' && work.expiresAt !== null ? work.expiresAt - LEASE_TTL_SECONDS * 1_000 : deps.now();
  const amount = Math.ceil(Math.max(0, until - work.leasedAt) / 1_000);
  return [addUsageIfChanged(deps.db, { tenant: work.tenantId, metric: 'training_seconds', amount, now: deps.now() })];
}

const blameOf = (cause: Exclude<Cause, { kind: 'released' }>): 'caller' | 'graft' => (cause.kind === 'failed' ? cause.error.blame : 'graft');

function errorOf(work: WorkRow, cause: Cause): JobError {
  if (cause.kind === 'failed') return { ...cause.error, attempts: work.attempts };
  const detail = `The trainer host "${work.host}" was not heard of for ${LEASE_TTL_SECONDS} s, ${work.attempts} times in all.`;
  return { code: 'host_lost', detail, blame: 'graft', retryable: true, attempts: work.attempts };
}

async function jobFollows(deps: Needs, work: WorkRow, cause: Cause, next: Next): Promise<Statement[]> {
  const job = await getJob(deps.db, work.tenantId, work.id);
  // A cancelled job has been told of already; only its work ends here.
  if (!job || next.command === 'cancel') return [];
  const reason = reasonOf(cause);
  if (next.status === 'queued') return [moveJobIfChanged(deps.db, job.id, 'queued'), ...tellMove(deps, job, 'queued', { reason })];
  if (next.status === 'held') return [moveJobIfChanged(deps.db, job.id, 'paused'), ...tellMove(deps, job, 'paused', { reason })];
  const error = errorOf(work, cause);
  return [moveJobIfChanged(deps.db, job.id, 'failed', { error, finishedAt: deps.now() }), ...tellMove(deps, job, 'failed', { error })];
}

function reasonOf(cause: Cause): string {
  switch (cause.kind) {
    case 'failed':
      return cause.error.detail;
    case 'postponed':
      return cause.detail;
    case 'expired':
      return 'The trainer host was not heard of any more.';
    case 'released':
      return 'Given back.';
  }
}

async function datasetFollows(deps: Needs, work: WorkRow, cause: Cause, next: Next): Promise<Statement[]> {
  if (next.status === 'queued') return [];
  const dataset = await getDataset(deps.db, work.tenantId, work.id);
  const { code, detail, blame } = errorOf(work, cause);
  const errors = [{ code, detail: blame === 'graft' ? `${detail} ${whatNow(work.id, dataset?.uploadId ?? null)}` : detail }];
  return [
    finishValidationIfChanged(deps.db, work.id, { status: 'invalid', manifest: null, fence: null, errors, errorCount: 1, now: deps.now() }),
    eventStatementIfChanged(deps, {
      tenant: work.tenantId,
      type: 'dataset.invalid',
      data: { object: 'dataset', id: work.id, status: 'invalid', error_count: 1, errors },
    }),
  ];
}

function whatNow(dataset: string, upload: string | null): string {
  if (upload === null) return 'This is no fault of the examples; make the dataset of the classifier again.';
  const call = `POST /v1/datasets/${dataset}/uploads/${upload}/complete`;
  return `This is no fault of the upload, which is kept: nothing need be sent again, and ${call} has it inspected again.`;
}
