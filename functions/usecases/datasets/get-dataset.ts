/** One dataset, or `not_found` for another tenant's as for none. */
import { GraftError } from '../../../shared/errors.ts';
import type { Dataset } from '../../../shared/wire/datasets.ts';
import type { Deps } from '../../deps.ts';
import { getDataset as readDataset, type DatasetRow } from '../../stores/datasets.ts';
import { getWork } from '../../stores/work.ts';
import { queuePlaces } from '../jobs/queue-place.ts';
import { presentDataset } from './present-dataset.ts';

/** The row, for the other use cases of this room. */
export async function needDataset(deps: Pick<Deps, 'db'>, tenant: string, id: string, param?: string): Promise<DatasetRow> {
  const row = await readDataset(deps.db, tenant, id);
  if (!row) throw new GraftError('not_found', `There is no dataset "${id}".`, param ? { param } : {});
  return row;
}

export async function getDataset(deps: Pick<Deps, 'db' | 'now'>, input: { tenant: string; id: string }): Promise<Dataset> {
  const row = await needDataset(deps, input.tenant, input.id);
  const work = row.status === 'validating' ? await getWork(deps.db, row.id) : null;
  const queue = work && (await queuePlaces(deps, [work])).get(work.id);
  return { ...presentDataset(row), ...(queue ? { queue } : {}) };
}
