/** The fenced end of an advice job. Nothing outside D1 takes part, so one batch ends work and job; its repetition gets the first answer. */
import { GraftError } from '../../../shared/errors.ts';
import { LEASE_TTL_SECONDS } from '../../../shared/limits.ts';
import type { CompleteRequest, CompleteResponse } from '../../../shared/runner.ts';
import type { Deps } from '../../deps.ts';
import { getJob, moveJobIfChanged } from '../../stores/jobs.ts';
import { addUsageIfChanged } from '../../stores/usage.ts';
import { finishWork, renewLease, type WorkRow } from '../../stores/work.ts';
import { wakeOutbox } from '../events/record-event.ts';
import { tellMove } from '../jobs/job-moves.ts';
import { staleLease } from './lease-token.ts';

type Needs = Pick<Deps, 'db' | 'deliveries' | 'newId' | 'now'>;

/** Null when the lease was lost meanwhile. */
export async function completeAdvice(
  deps: Needs,
  work: WorkRow,
  hash: string,
  digest: string,
  request: Extract<CompleteRequest, { kind: 'advice' }>,
): Promise<CompleteResponse | null> {
  const job = await getJob(deps.db, work.tenantId, work.id);
  if (!job) throw staleLease();
  if (job.kind !== 'advice') throw new GraftError('unprocessable', 'The lease is for training, the completion for advice.');
  const now = deps.now();
  const answer: CompleteResponse = { status: 'succeeded', decision: null };
  // A host whose `phase` event was lost still passes through `running`.
  await deps.db.batch([
    renewLease(deps.db, hash, now + LEASE_TTL_SECONDS * 1_000),
    moveJobIfChanged(deps.db, job.id, 'running', {}, ['validating']),
    ...tellMove(deps, job, 'running'),
  ]);
  const results: unknown[] = await deps.db.batch([
    finishWork(deps.db, work.id, { tokenHash: hash, digest, answer, now }),
    moveJobIfChanged(deps.db, job.id, 'succeeded', { result: request.advice, finishedAt: now }),
    ...tellMove(deps, job, 'succeeded'),
    addUsageIfChanged(deps.db, { tenant: job.tenantId, metric: 'training_seconds', amount: Math.ceil(request.seconds), now }),
  ]);
  if ((results[0] as D1Result).meta.changes === 0) return null;
  await wakeOutbox(deps);
  return answer;
}
