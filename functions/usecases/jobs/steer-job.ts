/** Cancel, pause and resume: the pure machine decides, conditional statements carry it out, and a lost race is decided again. */
import { GraftError } from '../../../shared/errors.ts';
import type { AnyJob } from '../../../shared/wire/jobs.ts';
import { decideWish, type OwnerWish } from '../../domain/job-machine.ts';
import type { Deps } from '../../deps.ts';
import { chooseCheckpoint, listCheckpoints } from '../../stores/checkpoints.ts';
import { cancelJob, moveJob, type JobRow } from '../../stores/jobs.ts';
import { cancelWorkIfChanged, commandHolder, getWork, moveWaitingWorkIfChanged } from '../../stores/work.ts';
import { wakeOutbox } from '../events/record-event.ts';
import { tellMove } from './job-moves.ts';
import { presentAnyJob } from './present-job.ts';
import { needJob } from './read-jobs.ts';

type Needs = Pick<Deps, 'db' | 'deliveries' | 'newId' | 'now'>;

/** A job changes hands rarely; three looks are enough to meet it between two changes. */
const TRIES = 3;

/** Which checkpoint to resume from; `attempt` null: the latest that has the epoch. */
export type From = { readonly epoch: number; readonly attempt: number | null };

export async function steerJob(deps: Needs, input: { tenant: string; id: string; wish: OwnerWish; from?: From | null }): Promise<AnyJob> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const job = await needJob(deps, input.tenant, input.id);
    const outcome = decideWish(input.wish, job.status);
    if (outcome.kind === 'refused') throw new GraftError('conflict', outcome.detail);
    if (input.from) {
      if (outcome.kind !== 'move')
        throw new GraftError('conflict', `The job is ${job.status}: pause it, and then resume it from the checkpoint of your choice.`);
      await choose(deps, job, input.from);
    }
    if (outcome.kind === 'nothing') return await presentAnyJob(deps, job);
    const done = outcome.kind === 'ask_host' ? await commandHolder(deps.db, job.id, outcome.command) : await move(deps, job, outcome.to);
    if (done) return await presentAnyJob(deps, await needJob(deps, input.tenant, input.id));
    if ((await getWork(deps.db, job.id))?.pending)
      throw new GraftError('conflict', 'The job has just ended; its result is being recorded.', { retryAfterSeconds: 1 });
  }
  throw new GraftError('unavailable', 'The job changed hands while this was decided. Try again.', { retryAfterSeconds: 1 });
}

async function choose(deps: Needs, job: JobRow, { epoch, attempt }: From): Promise<void> {
  const kept = await listCheckpoints(deps.db, job.id);
  const chosen = kept.filter((row) => row.epoch === epoch && (attempt === null || row.fence === attempt)).toSorted((a, b) => b.fence - a.fence)[0];
  if (!chosen) {
    const named = kept.map((row) => `epoch ${row.epoch} of attempt ${row.fence}`).join(', ');
    const wanted = attempt === null ? `epoch ${epoch}` : `epoch ${epoch} of attempt ${attempt}`;
    throw new GraftError('unprocessable', `The job has no checkpoint of ${wanted}; it has ${named === '' ? 'none' : named}.`, { param: 'epoch' });
  }
  await chooseCheckpoint(deps.db, chosen, deps.now());
}

async function move(deps: Needs, job: JobRow, to: JobRow['status']): Promise<boolean> {
  const now = deps.now();
  // The public event is last of the chain: each statement runs only if the one before changed a row.
  const results =
    to === 'cancelled'
      ? await deps.db.batch([cancelJob(deps.db, job.tenantId, job.id, now), cancelWorkIfChanged(deps.db, job.id, now), ...tellMove(deps, job, to)])
      : await deps.db.batch([
          moveJob(deps.db, job.id, job.status, to),
          moveWaitingWorkIfChanged(deps.db, job.id, to === 'paused' ? 'held' : 'queued', now),
          ...tellMove(deps, job, to),
        ]);
  const changed = results[0].meta.changes > 0;
  if (changed) await wakeOutbox(deps);
  return changed;
}
