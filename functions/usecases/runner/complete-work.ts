/**
 * The fenced end of a lease. The same completion sent again gets the first answer; another one with the same token is a conflict; a stale token is
 * `stale_lease`. A training completion is first verified and recorded (`pending`), then carried out by `finishPending`.
 */
import type { DatasetManifest } from '../../../shared/dataset.ts';
import { GraftError } from '../../../shared/errors.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import { CompleteResponse, type CompleteRequest } from '../../../shared/runner.ts';
import { sha256Hex } from '../../domain/digests.ts';
import type { Deps } from '../../deps.ts';
import { finishValidationIfChanged, getDataset } from '../../stores/datasets.ts';
import { findCompleted, findLease, finishWork, type WorkRow } from '../../stores/work.ts';
import { eventStatementIfChanged, wakeOutbox } from '../events/record-event.ts';
import { completeAdvice } from './complete-advice.ts';
import { completeTraining } from './complete-training.ts';
import { finishPending } from './finish-pending.ts';
import { staleLease } from './lease-token.ts';
import { needNames, verifyFiles } from './verify-artifacts.ts';

type Needs = Pick<Deps, 'db' | 'objects' | 'classifier' | 'deliveries' | 'newId' | 'now'>;

export async function completeWork(deps: Needs, input: { token: string; request: CompleteRequest }): Promise<CompleteResponse> {
  const { request } = input;
  const hash = await sha256Hex(input.token);
  const digest = await sha256Hex(JSON.stringify(request));
  const first = await firstAnswer(deps, hash, digest);
  if (first) return first;
  const work = await findLease(deps.db, hash);
  if (!work) throw staleLease();
  if (work.pending !== null) {
    if (work.completionDigest !== digest) throw otherCompletion();
    return await finishPending(deps, work);
  }
  if (work.command === 'cancel') throw new GraftError('stale_lease', 'The job was cancelled. Release the lease.');
  if ((request.kind === 'advice' ? 'train' : request.kind) !== work.kind)
    throw new GraftError('unprocessable', `The lease is for "${work.kind}", the completion for "${request.kind}".`);
  const answer =
    request.kind === 'validate'
      ? await completeValidation(deps, work, hash, digest, request)
      : request.kind === 'advice'
        ? await completeAdvice(deps, work, hash, digest, request)
        : await completeTraining(deps, work, hash, digest, request);
  // Null: somebody was faster. Most likely the same host, whose first try has just ended.
  const settled = answer ?? (await firstAnswer(deps, hash, digest));
  if (!settled) throw staleLease();
  return settled;
}

async function firstAnswer(deps: Needs, hash: string, digest: string): Promise<CompleteResponse | null> {
  const done = await findCompleted(deps.db, hash);
  if (!done) return null;
  if (done.completionDigest !== digest) throw otherCompletion();
  return CompleteResponse.parse(done.completionAnswer);
}

function otherCompletion(): GraftError {
  return new GraftError('conflict', 'This lease was completed with a different completion before.');
}

async function completeValidation(
  deps: Needs,
  work: WorkRow,
  hash: string,
  digest: string,
  request: Extract<CompleteRequest, { kind: 'validate' }>,
): Promise<CompleteResponse | null> {
  const manifest = request.ready ? await verifyFrozen(deps, work, request.manifest) : null;
  const status = manifest ? 'ready' : 'invalid';
  const answer: CompleteResponse = { status, decision: null };
  const errors = request.errors.length > 0 ? request.errors : (manifest?.errors ?? []);
  const errorCount = Math.max(request.error_count, errors.length);
  const results: unknown[] = await deps.db.batch([
    finishWork(deps.db, work.id, { tokenHash: hash, digest, answer, now: deps.now() }),
    finishValidationIfChanged(deps.db, work.id, {
      status,
      // Its errors have a column of their own.
      manifest: manifest && { ...manifest, errors: [] },
      quality: manifest && request.inspection,
      fence: work.fence,
      errors,
      errorCount,
      now: deps.now(),
    }),
    eventStatementIfChanged(deps, {
      tenant: work.tenantId,
      type: `dataset.${status}`,
      data: {
        object: 'dataset',
        id: work.id,
        status,
        rows: manifest?.rows ?? null,
        labels: manifest?.labels.length ?? null,
        error_count: errorCount,
      },
    }),
  ]);
  if ((results[0] as D1Result).meta.changes === 0) return null;
  await wakeOutbox(deps);
  return answer;
}

async function verifyFrozen(deps: Needs, work: WorkRow, manifest: DatasetManifest | null): Promise<DatasetManifest> {
  if (!manifest) throw new GraftError('unprocessable', 'A dataset that is ready needs its manifest.');
  const row = await getDataset(deps.db, work.tenantId, work.id);
  // A host of an older version reads several labels as none.
  if (row && manifest.task !== row.task)
    throw new GraftError('unprocessable', `The dataset was made with the task "${row.task}" and frozen with "${manifest.task}".`);
  needNames(manifest.files, ['dataset.safetensors', 'rows.jsonl']);
  await verifyFiles(deps, manifest.files, (name) => objectKeys.frozen(work.tenantId, work.id, work.fence, name));
  const of = (name: string) => manifest.files.find((file) => file.name === name)?.sha256 ?? '';
  const digest = await sha256Hex(`${of('dataset.safetensors')}\n${of('rows.jsonl')}`);
  if (digest !== manifest.digest) throw new GraftError('checksum_mismatch', 'The digest of the manifest is not that of its files.');
  return manifest;
}
