/** An upload as it stands; while it is open its URLs are made again, valid until it expires. */
import { GraftError } from '../../../shared/errors.ts';
import type { Upload } from '../../../shared/wire/datasets.ts';
import type { Deps } from '../../deps.ts';
import { getUpload as readUpload, type UploadRow } from '../../stores/datasets.ts';
import { presignParts } from './create-upload.ts';
import { needDataset } from './get-dataset.ts';
import { presentUpload } from './present-dataset.ts';

export async function needUpload(deps: Pick<Deps, 'db'>, input: { tenant: string; dataset: string; upload: string }): Promise<UploadRow> {
  await needDataset(deps, input.tenant, input.dataset);
  const row = await readUpload(deps.db, input.tenant, input.dataset, input.upload);
  if (!row) throw new GraftError('not_found', `There is no upload "${input.upload}" in this dataset.`);
  return row;
}

export async function getUpload(
  deps: Pick<Deps, 'db' | 'objects' | 'now'>,
  input: { tenant: string; dataset: string; upload: string },
): Promise<Upload> {
  const row = await needUpload(deps, input);
  const left = Math.floor((row.expiresAt - deps.now()) / 1_000);
  return presentUpload(row, row.status === 'open' && left > 0 ? await presignParts(deps, row, left) : []);
}
