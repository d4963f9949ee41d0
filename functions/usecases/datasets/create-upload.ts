/** Opens a multipart upload and answers one presigned URL a part: the bytes go straight to object storage, never through the Worker. */
import { GraftError } from '../../../shared/errors.ts';
import { UPLOAD_MAX_BYTES, UPLOAD_URL_TTL_SECONDS } from '../../../shared/limits.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import type { CreateUploadRequest, Upload } from '../../../shared/wire/datasets.ts';
import { partBytesFor, partCount } from '../../domain/upload-parts.ts';
import type { Deps } from '../../deps.ts';
import { insertUpload, type UploadRow } from '../../stores/datasets.ts';
import { needDataset } from './get-dataset.ts';
import { presentUpload } from './present-dataset.ts';

export async function createUpload(
  deps: Pick<Deps, 'db' | 'objects' | 'newId' | 'now'>,
  input: { tenant: string; dataset: string; request: CreateUploadRequest },
): Promise<Upload> {
  const { request } = input;
  const dataset = await needDataset(deps, input.tenant, input.dataset);
  if (dataset.status !== 'awaiting_upload')
    throw new GraftError('conflict', `The dataset is ${dataset.status}; only one that is awaiting_upload takes an upload. Make a new dataset.`);
  if (request.bytes > UPLOAD_MAX_BYTES)
    throw new GraftError('body_too_large', `An upload may have at most ${UPLOAD_MAX_BYTES} bytes, this one has ${request.bytes}.`, {
      param: 'bytes',
    });
  const now = deps.now();
  const id = deps.newId('upload');
  const objectKey = objectKeys.upload(input.tenant, dataset.id, id, request.filename);
  const row: UploadRow = {
    id,
    tenantId: input.tenant,
    datasetId: dataset.id,
    filename: request.filename,
    objectKey,
    multipartId: await deps.objects.createMultipart(objectKey),
    bytes: request.bytes,
    sha256: request.sha256 ?? null,
    partBytes: partBytesFor(request.bytes),
    status: 'open',
    expiresAt: now + UPLOAD_URL_TTL_SECONDS * 1_000,
    createdAt: now,
  };
  await insertUpload(deps.db, row);
  return presentUpload(row, await presignParts(deps, row, UPLOAD_URL_TTL_SECONDS));
}

/** URLs of all parts, for a new upload and for a client that lost them. */
export async function presignParts(deps: Pick<Deps, 'objects'>, row: UploadRow, ttlSeconds: number): Promise<Upload['parts']> {
  const numbers = Array.from({ length: partCount(row.bytes, row.partBytes) }, (_, i) => i + 1);
  return await Promise.all(
    numbers.map(async (number) => ({ number, url: await deps.objects.presignPart(row.objectKey, row.multipartId, number, ttlSeconds) })),
  );
}
