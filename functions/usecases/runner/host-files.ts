/**
 * Files that a lease holder sends: where they lie, and large ones in parts. Nothing of an upload in parts is kept here: its key follows from the lease, and
 * the host says the store's id of it. A host that gives up takes back what it began; what a lost host leaves, the bucket's rule ends (docs/storage.md).
 */
import { GraftError } from '../../../shared/errors.ts';
import { HOST_FILE_PART_BYTES, HOST_FILE_SINGLE_MAX_BYTES, HOST_UPLOAD_TTL_SECONDS } from '../../../shared/limits.ts';
import { ArtifactName } from '../../../shared/model-manifest.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import type { JoinRequest, PartRequest, PartsTarget, UploadTarget } from '../../../shared/runner.ts';
import { partBytesFor } from '../../domain/upload-parts.ts';
import type { Deps } from '../../deps.ts';
import type { WorkRow } from '../../stores/work.ts';
import { joinParts } from '../datasets/join-parts.ts';
import { needLease } from './lease-token.ts';

/** The longest that a signature may be valid: it permits nothing but giving up. */
const ABORT_TTL_SECONDS = 7 * 24 * 3600;
const FROZEN_FILES: readonly string[] = ['dataset.safetensors', 'rows.jsonl', 'quality.jsonl'];

export type HostFileSizes = { readonly singleMaxBytes: number; readonly partBytes: number };
export const HOST_FILE_SIZES: HostFileSizes = { singleMaxBytes: HOST_FILE_SINGLE_MAX_BYTES, partBytes: HOST_FILE_PART_BYTES };

/** Of a checkpoint among the files of a training: its epoch, and as much of its digest as is in its key. */
const CHECKPOINT = /^checkpoint-(\d{1,9})-([0-9a-f]{16})\.safetensors$/;
export const checkpointName = (epoch: number, sha256: string): string => `checkpoint-${epoch}-${sha256.slice(0, 16)}.safetensors`;

/** Throws `unprocessable` for a name that this kind of work has no file of. */
export function keyOfFile(work: WorkRow, name: string): string {
  const [, epoch, digest] = (work.kind === 'train' ? CHECKPOINT.exec(name) : null) ?? [];
  if (epoch !== undefined && digest !== undefined) return objectKeys.checkpoint(work.tenantId, work.id, work.fence, Number(epoch), digest);
  const allowed: readonly string[] = work.kind === 'train' ? ArtifactName.options : FROZEN_FILES;
  if (!allowed.includes(name)) throw new GraftError('unprocessable', `"${name}" is not a file of this work; it may be ${allowed.join(', ')}.`);
  return work.kind === 'train'
    ? objectKeys.artifact(work.tenantId, work.id, work.fence, name)
    : objectKeys.frozen(work.tenantId, work.id, work.fence, name);
}

export async function openInParts(deps: Pick<Deps, 'objects'>, key: string, bytes: number, sizes: HostFileSizes): Promise<PartsTarget> {
  const upload = await deps.objects.createMultipart(key, { checked: true });
  return { upload, part_bytes: partBytesFor(bytes, sizes.partBytes), abort: await deps.objects.presignAbort(key, upload, ABORT_TTL_SECONDS) };
}

/** Asked for part by part, so that a file of hours outlives the signature of its first part, and a host without its lease stops at the next one. */
export async function presignPart(deps: Pick<Deps, 'db' | 'objects'>, input: { token: string; part: PartRequest }): Promise<UploadTarget> {
  const { work } = await needLease(deps, input.token);
  const { name, upload, number, sha256, bytes } = input.part;
  return await deps.objects.presignCheckedPart(keyOfFile(work, name), upload, { number, sha256, bytes, ttlSeconds: HOST_UPLOAD_TTL_SECONDS });
}

/**
 * The store has checked the SHA-256 of each part, and none of the whole: that the parts are those of the promised file is checked by whoever downloads
 * it. A lease that passes on meanwhile leaves a file under a fence that nobody names.
 */
export async function joinFile(deps: Pick<Deps, 'db' | 'objects'>, input: { token: string; file: JoinRequest }): Promise<void> {
  const { work } = await needLease(deps, input.token);
  const { name, upload, bytes, part_bytes: partBytes, parts } = input.file;
  await joinParts(deps, { objectKey: keyOfFile(work, name), multipartId: upload, bytes, partBytes }, parts);
}
