/**
 * Deletes a dataset with its bytes. Refused while a job that is not finished needs it. The row goes first, for everybody at once; of one that is gone
 * already the bytes are deleted again before it is said so, because the storage may not have answered the first time.
 */
import { DatasetManifest } from '../../../shared/dataset.ts';
import { GraftError } from '../../../shared/errors.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import type { Deps } from '../../deps.ts';
import { closeUpload, deletedDataset, deleteDataset as markDeleted, listUploads } from '../../stores/datasets.ts';
import { killWork } from '../../stores/work.ts';
import { needDataset } from './get-dataset.ts';

export async function deleteDataset(deps: Pick<Deps, 'db' | 'now' | 'objects'>, input: { tenant: string; id: string }): Promise<void> {
  const gone = await deletedDataset(deps.db, input.tenant, input.id);
  const row = gone ?? (await needDataset(deps, input.tenant, input.id));
  if (!gone && !(await markDeleted(deps.db, input.tenant, row.id, deps.now())))
    throw new GraftError('conflict', 'A training job that is not finished uses this dataset. Cancel it first.');
  await killWork(deps.db, row.id, deps.now());
  const keys: string[] = [];
  for (const upload of await listUploads(deps.db, row.id)) {
    if (upload.status === 'open') {
      await deps.objects.abortMultipart(upload.objectKey, upload.multipartId);
      await closeUpload(deps.db, upload.id, 'aborted');
    }
    keys.push(upload.objectKey);
  }
  const manifest = row.manifest === null ? null : DatasetManifest.parse(row.manifest);
  const fence = row.frozenFence;
  if (manifest && fence !== null) keys.push(...manifest.files.map((file) => objectKeys.frozen(row.tenantId, row.id, fence, file.name)));
  await deps.objects.delete(keys);
  if (gone) await needDataset(deps, input.tenant, input.id);
}
