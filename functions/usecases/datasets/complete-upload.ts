/**
 * Ends an upload: every part is checked against what the store has, the store joins them, and the dataset goes to validation. May be repeated:
 * a client that lost the answer gets the dataset again, and one whose dataset was given up because hosts failed has the same upload inspected again. The
 * SHA-256, when one was given, is checked by the validating host, which reads all bytes.
 */
import { GraftError } from '../../../shared/errors.ts';
import type { CompleteUploadRequest, Dataset } from '../../../shared/wire/datasets.ts';
import { checkParts } from '../../domain/upload-parts.ts';
import type { Deps } from '../../deps.ts';
import { closeUpload, restartValidation, startValidationIfChanged, type DatasetRow, type UploadRow } from '../../stores/datasets.ts';
import { insertWorkIfChanged, restartHeldWorkIfChanged } from '../../stores/work.ts';
import { needDataset } from './get-dataset.ts';
import { needUpload } from './get-upload.ts';
import { presentDataset } from './present-dataset.ts';

export async function completeUpload(
  deps: Pick<Deps, 'db' | 'objects' | 'now'>,
  input: { tenant: string; dataset: string; upload: string; request: CompleteUploadRequest },
): Promise<Dataset> {
  const upload = await needUpload(deps, input);
  if (upload.status === 'aborted') throw aborted();
  if (upload.status === 'open') {
    const before = await needDataset(deps, input.tenant, input.dataset);
    if (before.status !== 'awaiting_upload') throw otherUpload(before);
    await join(deps, upload, input.request);
    const now = deps.now();
    await deps.db.batch([
      closeUpload(deps.db, upload.id, 'completed'),
      startValidationIfChanged(deps.db, upload.datasetId, upload.id),
      insertWorkIfChanged(deps.db, { id: upload.datasetId, kind: 'validate', tenant: input.tenant, now }),
    ]);
  } else {
    await deps.db.batch([restartValidation(deps.db, upload.datasetId, upload.id), restartHeldWorkIfChanged(deps.db, upload.datasetId, deps.now())]);
  }
  const row = await needDataset(deps, input.tenant, input.dataset);
  if (row.uploadId === upload.id) return presentDataset(row);
  // Given up while its parts were joined, or two uploads were completed at once, and this one was second.
  throw (await needUpload(deps, input)).status === 'aborted' ? aborted() : otherUpload(row);
}

function aborted(): GraftError {
  return new GraftError('conflict', 'This upload was aborted. Open a new one.');
}

function otherUpload(dataset: DatasetRow): GraftError {
  return new GraftError('conflict', `The dataset is ${dataset.status} already, from another upload. Make a new dataset for this one.`);
}

async function join(deps: Pick<Deps, 'objects'>, upload: UploadRow, request: CompleteUploadRequest): Promise<void> {
  const claimed = request.parts.map((part) => ({ number: part.number, etag: part.etag.replace(/^"(.*)"$/, '$1') }));
  const stored = await deps.objects.listParts(upload.objectKey, upload.multipartId);
  // The store forgets the parts when it has joined them: then an earlier call did it and only its answer was lost.
  if (stored === null) return await needWhole(deps, upload);
  const problems = checkParts(upload, claimed, stored);
  if (problems.length > 0) throw new GraftError('upload_incomplete', problems[0]?.detail ?? 'The upload is incomplete.', { errors: problems });
  const sorted = claimed.toSorted((a, b) => a.number - b.number);
  const joined = await deps.objects.completeMultipart(upload.objectKey, upload.multipartId, sorted);
  if (!joined.ok && joined.code !== 'NoSuchUpload')
    throw new GraftError('upload_incomplete', `The object storage refused to join the parts: ${joined.code} ${joined.detail}`.trim());
  await needWhole(deps, upload);
}

async function needWhole(deps: Pick<Deps, 'objects'>, upload: UploadRow): Promise<void> {
  const info = await deps.objects.head(upload.objectKey);
  if (!info) throw new GraftError('upload_incomplete', 'The object storage no longer has the parts of this upload. Open a new one.');
  if (info.bytes !== upload.bytes)
    throw new GraftError('upload_incomplete', `The joined file has ${info.bytes} bytes, ${upload.bytes} were announced.`);
}
