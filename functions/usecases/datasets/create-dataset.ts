/** Makes a dataset: an empty one that waits for its upload, or one from a classifier's examples, which a host validates at once. */
import { GraftError } from '../../../shared/errors.ts';
import type { CreateDatasetRequest, Dataset } from '../../../shared/wire/datasets.ts';
import type { Deps } from '../../deps.ts';
import { insertDataset, type DatasetRow } from '../../stores/datasets.ts';
import { getTrainable } from '../../stores/jobs.ts';
import { insertWork } from '../../stores/work.ts';
import { presentDataset } from './present-dataset.ts';

export async function createDataset(
  deps: Pick<Deps, 'db' | 'newId' | 'now'>,
  input: { tenant: string; request: CreateDatasetRequest },
): Promise<Dataset> {
  const { tenant, request } = input;
  const now = deps.now();
  const row: DatasetRow = {
    id: deps.newId('dataset'),
    tenantId: tenant,
    name: request.name,
    modality: 'image',
    task: 'single_label',
    format: 'classifier',
    columns: null,
    fromClassifier: null,
    status: 'awaiting_upload',
    uploadId: null,
    manifest: null,
    quality: null,
    frozenFence: null,
    errors: null,
    errorCount: 0,
    createdAt: now,
    readyAt: null,
    deletedAt: null,
  };
  if ('from_classifier' in request) {
    const classifier = await getTrainable(deps.db, tenant, request.from_classifier);
    if (!classifier) throw new GraftError('not_found', `There is no classifier "${request.from_classifier}".`, { param: 'from_classifier' });
    if (classifier.modality === 'vector')
      throw new GraftError('unprocessable', 'A classifier over vectors keeps no originals to make a dataset from.', { param: 'from_classifier' });
    Object.assign(row, { modality: classifier.modality, task: classifier.task, fromClassifier: classifier.id, status: 'validating' });
    await deps.db.batch([insertDataset(deps.db, row), insertWork(deps.db, { id: row.id, kind: 'validate', tenant, now })]);
    return presentDataset(row);
  }
  if (request.format === 'imagefolder' && request.modality === 'text')
    throw new GraftError('invalid_request', 'The format "imagefolder" holds pictures; texts come as "jsonl" or "csv".', { param: 'format' });
  if (request.format === 'imagefolder' && request.task === 'multi_label') {
    const detail = 'A folder says one label of its pictures; several labels a picture come as "jsonl" in a zip beside them.';
    throw new GraftError('invalid_request', detail, { param: 'task' });
  }
  if (request.format === 'csv' && request.modality === 'image')
    throw new GraftError('invalid_request', 'Pictures come as "imagefolder", or as "jsonl" in a zip beside them.', { param: 'format' });
  Object.assign(row, { modality: request.modality, task: request.task, format: request.format, columns: request.columns ?? null });
  await insertDataset(deps.db, row);
  return presentDataset(row);
}
