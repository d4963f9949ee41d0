/** What a lease holder does while it works: heartbeat, events, artifacts, checkpoints, failing and giving back. */
import { Progress } from '../../../shared/engine.ts';
import { GraftError } from '../../../shared/errors.ts';
import { HOST_UPLOAD_TTL_SECONDS, LEASE_TTL_SECONDS } from '../../../shared/limits.ts';
import type { ArtifactsResponse, CheckpointResponse, HeartbeatResponse, HostEvent } from '../../../shared/runner.ts';
import { sha256Hex } from '../../domain/digests.ts';
import type { Deps } from '../../deps.ts';
import { checkpointOf, forgetCheckpoint, saveCheckpointIfChanged, supersededCheckpoints } from '../../stores/checkpoints.ts';
import { appendJobEventIfChanged, getJob, moveJobIfChanged, setProgress } from '../../stores/jobs.ts';
import { findLease, renewLease, renewTelling, type WorkRow } from '../../stores/work.ts';
import { iso } from '../datasets/present-dataset.ts';
import { wakeOutbox } from '../events/record-event.ts';
import { tellMove } from '../jobs/job-moves.ts';
import { endAttempt } from './end-attempt.ts';
import { checkpointName, HOST_FILE_SIZES, keyOfFile, openInParts, type HostFileSizes } from './host-files.ts';
import { needLease, staleLease } from './lease-token.ts';
import { verifyFiles, type NamedFile } from './verify-artifacts.ts';
import { forTheLog } from '../../domain/for-the-log.ts';

type Needs = Pick<Deps, 'db' | 'objects' | 'deliveries' | 'newId' | 'now'>;

/** Of one job. Work goes on from the newest; the others let its owner see that it moves. */
const CHECKPOINTS_KEPT = 3;

const untilOf = (deps: Pick<Deps, 'now'>) => deps.now() + LEASE_TTL_SECONDS * 1_000;

export async function heartbeat(deps: Needs, input: { token: string; progress: Progress | null }): Promise<HeartbeatResponse> {
  const expiresAt = untilOf(deps);
  const [work] = await renewLease(deps.db, await sha256Hex(input.token), expiresAt);
  if (!work) throw staleLease();
  if (input.progress && work.kind === 'train' && work.command !== 'cancel') await recordProgress(deps, work, input.progress);
  return { expires_at: iso(expiresAt), expires_in_seconds: LEASE_TTL_SECONDS, command: work.command };
}

/**
 * Of a cancelled job they are let go: its log ends with that, and its host hears of it at the next heartbeat. `first`: the number of the first of them;
 * those that were taken before are passed over.
 */
export async function takeHostEvents(deps: Needs, input: { token: string; events: readonly HostEvent[]; first?: number | undefined }): Promise<void> {
  const { work, hash } = await needLease(deps, input.token);
  const job = work.kind === 'train' ? await getJob(deps.db, work.tenantId, work.id) : null;
  for (const [i, event] of input.events.entries()) {
    const renew = renewTelling(deps.db, hash, untilOf(deps), input.first === undefined ? null : input.first + i);
    let renewed: WorkRow[];
    if (!job || event.type === 'progress') renewed = await renew;
    else {
      const { type, ...data } = event;
      [renewed] = await deps.db.batch([renew, appendJobEventIfChanged(deps.db, { job: job.id, type, data, now: deps.now() })]);
    }
    if (renewed.length === 0) {
      await needHeld(deps, hash);
      continue;
    }
    if (job && event.type === 'progress') await recordProgress(deps, work, event.progress);
    // Not every method has a phase `training`: a linear probe embeds and solves.
    if (job && event.type === 'phase' && event.phase !== 'loading') await startRunning(deps, hash, job);
  }
}

/** Throws `stale_lease` where nothing was renewed because the lease is another's. */
async function needHeld(deps: Needs, hash: string): Promise<void> {
  if ((await findLease(deps.db, hash)) === null) throw staleLease();
}

async function startRunning(deps: Needs, hash: string, job: NonNullable<Awaited<ReturnType<typeof getJob>>>): Promise<void> {
  await deps.db.batch([
    renewLease(deps.db, hash, untilOf(deps)),
    moveJobIfChanged(deps.db, job.id, 'running', {}, ['validating']),
    ...tellMove(deps, job, 'running'),
  ]);
  await wakeOutbox(deps);
}

/** The newest progress is on the job; only the first of each epoch goes to its log, or the log would grow with the batches. */
async function recordProgress(deps: Needs, work: WorkRow, progress: Progress): Promise<void> {
  const job = await getJob(deps.db, work.tenantId, work.id);
  const before = job?.progress ? Progress.parse(job.progress) : null;
  await setProgress(deps.db, work.id, progress);
  if (before?.epoch !== progress.epoch && work.tokenHash !== null)
    await deps.db.batch([
      renewTelling(deps.db, work.tokenHash, untilOf(deps)),
      appendJobEventIfChanged(deps.db, { job: work.id, type: 'progress', data: progress, now: deps.now() }),
    ]);
}

/** `sizes`: what goes up in parts, and in which. */
export async function presignArtifacts(
  deps: Needs,
  input: { token: string; files: readonly NamedFile[] },
  sizes: HostFileSizes = HOST_FILE_SIZES,
): Promise<ArtifactsResponse> {
  const { work } = await needLease(deps, input.token);
  // All names first: nothing is begun for a request that is refused.
  const files = input.files.map((file) => ({ ...file, key: keyOfFile(work, file.name) }));
  const uploads = files.map(
    async ({ name, key, sha256, bytes }) =>
      [name, await deps.objects.presignPut(key, { sha256, bytes, ttlSeconds: HOST_UPLOAD_TTL_SECONDS })] as const,
  );
  const large = files.filter(({ bytes }) => bytes > sizes.singleMaxBytes);
  const inParts = large.map(async ({ name, key, bytes }) => [name, await openInParts(deps, key, bytes, sizes)] as const);
  return { uploads: Object.fromEntries(await Promise.all(uploads)), in_parts: Object.fromEntries(await Promise.all(inParts)) };
}

export async function saveCheckpoint(
  deps: Needs,
  input: { token: string; epoch: number; sha256: string; bytes: number; stored: boolean },
  sizes: HostFileSizes = HOST_FILE_SIZES,
): Promise<CheckpointResponse> {
  const { work, hash } = await needLease(deps, input.token);
  if (work.kind !== 'train') throw new GraftError('unprocessable', 'Only training has checkpoints.');
  // Nothing goes on from a job that was cancelled.
  if (work.command === 'cancel') return { upload: null, in_parts: null };
  const { epoch, sha256, bytes } = input;
  const name = checkpointName(epoch, sha256);
  const key = keyOfFile(work, name);
  if (!input.stored)
    return {
      upload: await deps.objects.presignPut(key, { sha256, bytes, ttlSeconds: HOST_UPLOAD_TTL_SECONDS }),
      in_parts: bytes > sizes.singleMaxBytes ? { name, ...(await openInParts(deps, key, bytes, sizes)) } : null,
    };
  const recorded = { jobId: work.id, fence: work.fence, epoch };
  // Sent again because the answer was lost: it is in the log already.
  if ((await checkpointOf(deps.db, recorded))[0]?.objectKey === key) return { upload: null, in_parts: null };
  await verifyFiles(deps, [{ name: `checkpoint of epoch ${epoch}`, sha256, bytes }], () => key);
  const now = deps.now();
  const row = { ...recorded, objectKey: key, sha256, bytes, createdAt: now, chosenAt: null };
  const [before, renewed] = await deps.db.batch([
    checkpointOf(deps.db, row),
    renewTelling(deps.db, hash, untilOf(deps)),
    appendJobEventIfChanged(deps.db, { job: work.id, type: 'checkpoint', data: { epoch, bytes }, now }),
    saveCheckpointIfChanged(deps.db, row),
  ]);
  if (renewed.length === 0) {
    await needHeld(deps, hash);
    await deps.objects.delete([key]);
    return { upload: null, in_parts: null };
  }
  const replaced = before.map((earlier) => earlier.objectKey).filter((earlier) => earlier !== key);
  await forgetSuperseded(deps, work.id, replaced);
  return { upload: null, in_parts: null };
}

/**
 * A job would otherwise keep one of tens of megabytes for every epoch of every fold, and of long epochs for every few minutes. The new one counts in any
 * case.
 */
async function forgetSuperseded(deps: Needs, job: string, replaced: readonly string[]): Promise<void> {
  try {
    const old = await supersededCheckpoints(deps.db, job, CHECKPOINTS_KEPT);
    await deps.objects.delete([...replaced, ...old.map((row) => row.objectKey)]);
    for (const row of old) await forgetCheckpoint(deps.db, row);
  } catch (error) {
    console.warn(JSON.stringify({ message: 'old checkpoints stay until the next one', job, error: forTheLog(error) }));
  }
}

export async function failWork(
  deps: Needs,
  input: { token: string; code: string; detail: string; retryable: boolean; blame: 'caller' | 'graft' },
): Promise<void> {
  const { work } = await needLease(deps, input.token);
  const { token: _, ...error } = input;
  if (work.pending !== null) throw new GraftError('conflict', 'This lease was completed already; its result is being recorded.');
  if (!(await endAttempt(deps, work, { kind: 'failed', error }))) throw staleLease();
}

/** The host's reason is a courtesy; what its owner asked for decides whether the job waits again, is paused or stays cancelled. */
export async function releaseWork(deps: Needs, input: { token: string }): Promise<void> {
  const { work } = await needLease(deps, input.token);
  if (work.pending !== null) throw new GraftError('conflict', 'This lease was completed already; its result is being recorded.');
  if (!(await endAttempt(deps, work, { kind: 'released' }))) throw staleLease();
}
