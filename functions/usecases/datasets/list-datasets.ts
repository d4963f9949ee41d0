/** Rows of one page of a tenant's datasets, newest first, one more than the page holds when there is another page. */
import type { Deps } from '../../deps.ts';
import { listDatasets as readDatasets, type DatasetRow } from '../../stores/datasets.ts';

export async function listDatasets(
  deps: Pick<Deps, 'db'>,
  input: { tenant: string; page: { limit: number; after: string | null } },
): Promise<DatasetRow[]> {
  return await readDatasets(deps.db, input.tenant, input.page);
}
