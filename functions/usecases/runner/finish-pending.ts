/**
 * Carries a verified completion to its end: the durable object takes the version (idempotent by job), then one batch writes job, work, usage and
 * events. Whoever comes first does it: the host's own call, its repetition, or the sweep after a crash.
 */
import { z } from 'zod';
import { GraftError } from '../../../shared/errors.ts';
import { CompleteResponse } from '../../../shared/runner.ts';
import type { Reason } from '../../../shared/wire/evaluation.ts';
import type { JobResult } from '../../../shared/wire/jobs.ts';
import type { Deps } from '../../deps.ts';
import { getJob, moveJobIfChanged, type JobRow } from '../../stores/jobs.ts';
import { addUsageIfChanged } from '../../stores/usage.ts';
import { findCompleted, finishWork, type WorkRow } from '../../stores/work.ts';
import { eventStatementIfChanged, wakeOutbox } from '../events/record-event.ts';
import { tellMove, type Statement } from '../jobs/job-moves.ts';
import { versionEventData } from '../versions/version-event.ts';
import { staleLease } from './lease-token.ts';
import { PendingCompletion } from './pending-completion.ts';
import { forTheLog } from '../../domain/for-the-log.ts';

type Needs = Pick<Deps, 'db' | 'classifier' | 'deliveries' | 'newId' | 'now'>;

/** How long a completion is tried for which the durable object, or the storage that it reads, does not answer: longer than outages last. */
const GIVE_UP_MS = 24 * 3_600_000;

export async function finishPending(deps: Needs, work: WorkRow): Promise<CompleteResponse> {
  const { tokenHash, completionDigest } = work;
  const job = await getJob(deps.db, work.tenantId, work.id);
  if (!job || tokenHash === null || completionDigest === null) throw staleLease();
  const pending = PendingCompletion.parse(work.pending);
  const { result, activated } = await take(deps, job, pending);
  const answer: CompleteResponse = { status: 'succeeded', decision: result.decision };
  const now = deps.now();
  const told = { decision: result.decision, model: pending.model, ...choiceOf(result) };
  const results: unknown[] = await deps.db.batch([
    finishWork(deps.db, work.id, { tokenHash, digest: completionDigest, answer, now }),
    moveJobIfChanged(deps.db, job.id, 'succeeded', { result, modelId: pending.model, finishedAt: now }),
    ...tellMove(deps, job, 'succeeded', told),
    ...versionEvent(deps, job, pending, result, activated),
    addUsageIfChanged(deps.db, { tenant: job.tenantId, metric: 'training_seconds', amount: Math.ceil(result.seconds), now }),
  ]);
  if ((results[0] as D1Result).meta.changes === 0) {
    // Another call of the same completion was faster; its answer is the answer.
    const done = await findCompleted(deps.db, tokenHash);
    if (!done) throw staleLease();
    return CompleteResponse.parse(done.completionAnswer);
  }
  await wakeOutbox(deps);
  return answer;
}

const Choice = z.object({ chose: z.string(), because: z.string() });

/** Of `auto`: which way it took and why; the whole table is in the result. */
function choiceOf(result: JobResult): { choice?: z.infer<typeof Choice> } {
  const choice = Choice.safeParse(result.evidence['auto']);
  return choice.success ? { choice: choice.data } : {};
}

async function take(deps: Needs, job: JobRow, pending: PendingCompletion): Promise<{ result: JobResult; activated: boolean }> {
  const { result, take: wanted } = pending;
  if (!wanted) return { result, activated: false };
  const { classifier, ...rest } = wanted;
  const activate = result.decision === 'promoted';
  const evidence = { job: job.id, decision: result.decision, reasons: result.reasons, metrics: result.metrics };
  let outcome;
  try {
    outcome = await deps.classifier(classifier).takeTrained({ ...rest, job: job.id, model: pending.model, activate, evidence });
  } catch (error) {
    // An object that is busy or being moved answers soon, and an outage ends; what never ends must not leave the job running for ever.
    if (deps.now() - pending.since < GIVE_UP_MS)
      throw new GraftError('unavailable', 'The classifier could not take the version right now. Send the completion again.', {
        retryAfterSeconds: 5,
        cause: error,
      });
    console.error(JSON.stringify({ message: 'a classifier cannot take a trained version', job: job.id, error: forTheLog(error) }));
    const detail = 'The classifier could not take the trained version for a day.';
    return { result: refuse(result, 'not_taken', detail, { error: String(error).slice(0, 500) }), activated: false };
  }
  if (!outcome.ok) {
    const code = outcome.code === 'not_found' ? 'classifier_gone' : 'not_taken';
    return { result: refuse(result, code, `The classifier did not take the version: ${outcome.detail}`, { code: outcome.code }), activated: false };
  }
  const { version, activated, activeVersion, reason } = outcome.value;
  if (activate && !activated) {
    const detail = reason ?? `Version ${activeVersion} is served now, not version ${wanted.comparedWith} that the candidate was compared with.`;
    const facts = { compared_with: wanted.comparedWith, active_version: activeVersion };
    return { result: { ...refuse(result, 'incumbent_changed', detail, facts), version }, activated: false };
  }
  return { result: { ...result, version }, activated };
}

/** A promotion that could not happen is a refusal with one more reason; what was not asked for stays that. */
function refuse(result: JobResult, code: Reason['code'], detail: string, evidence: Reason['evidence']): JobResult {
  const decision = result.decision === 'not_requested' ? 'not_requested' : 'refused';
  return { ...result, decision, reasons: [...result.reasons, { code, blocks: true, detail, evidence }] };
}

function versionEvent(deps: Needs, job: JobRow, { model, take: wanted }: PendingCompletion, result: JobResult, activated: boolean): Statement[] {
  if (job.classifierId === null || (!activated && result.decision !== 'refused')) return [];
  const type = activated ? 'classifier.version.activated' : 'classifier.version.refused';
  const reasons = result.reasons.filter((reason) => activated || reason.blocks).map(({ code, detail }) => ({ code, detail }));
  const previous = wanted?.comparedWith ?? null;
  const of = {
    classifier: job.classifierId,
    version: result.version,
    previous,
    kind: 'trained',
    model,
    reason: 'trained',
    job: job.id,
    reasons,
  } as const;
  const data = versionEventData(of);
  return [eventStatementIfChanged(deps, { tenant: job.tenantId, type, data })];
}
