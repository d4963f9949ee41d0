/**
 * Ends an upload: every part is checked against what the store has, the store joins them, and the dataset goes to validation. May be repeated:
 * a client that lost the answer gets the dataset again, and one whose dataset was given up because hosts failed has the same upload inspected again. The
 * SHA-256, when one was given, is checked by the validating host, which reads all bytes.
 */
import { GraftError } from '../../../shared/errors.ts';
import type { CompleteUploadRequest, Dataset } from '../../../shared/wire/datasets.ts';
import type { Deps } from '../../deps.ts';
import { closeUpload, restartValidation, startValidationIfChanged, type DatasetRow } from '../../stores/datasets.ts';
import { insertWorkIfChanged, restartHeldWorkIfChanged } from '../../stores/work.ts';
import { needDataset } from './get-dataset.ts';
import { needUpload } from './get-upload.ts';
import { joinParts } from './join-parts.ts';
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
    await joinParts(deps, upload, input.request.parts);
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
