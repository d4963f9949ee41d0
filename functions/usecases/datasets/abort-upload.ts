/** Gives an open upload up and frees its parts. Aborting twice is no error. */
import { GraftError } from '../../../shared/errors.ts';
import type { Upload } from '../../../shared/wire/datasets.ts';
import type { Deps } from '../../deps.ts';
import { closeUpload, type UploadRow } from '../../stores/datasets.ts';
import { needUpload } from './get-upload.ts';
import { presentUpload } from './present-dataset.ts';

export async function abortUpload(deps: Pick<Deps, 'db' | 'objects'>, input: { tenant: string; dataset: string; upload: string }): Promise<Upload> {
  const row = await needUpload(deps, input);
  refuseCompleted(row);
  await deps.objects.abortMultipart(row.objectKey, row.multipartId);
  await closeUpload(deps.db, row.id, 'aborted');
  // It may have been completed in between.
  const now = await needUpload(deps, input);
  refuseCompleted(now);
  return presentUpload(now, []);
}

function refuseCompleted(row: UploadRow): void {
  if (row.status === 'completed') throw new GraftError('conflict', 'This upload was completed; its dataset can be deleted instead.');
}
