/** One page of a tenant's datasets, newest first, and one more when there is another page. */
import type { Dataset } from '../../../shared/wire/datasets.ts';
import type { Deps } from '../../deps.ts';
import { listDatasets as readDatasets } from '../../stores/datasets.ts';
import { presentDataset } from './present-dataset.ts';

export async function listDatasets(
  deps: Pick<Deps, 'db'>,
  input: { tenant: string; page: { limit: number; after: string | null } },
): Promise<Dataset[]> {
  return (await readDatasets(deps.db, input.tenant, input.page)).map(presentDataset);
}
