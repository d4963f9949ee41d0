/** The tenant's classifiers, newest first, each with its labels and served version. */
import type { Classifier } from '../../../shared/wire/classifiers.ts';
import type { Deps } from '../../deps.ts';
import { listClassifiers as listRows } from '../../stores/classifiers.ts';
import { toClassifier } from './load-classifier.ts';

/** `hasMore` when there are more than `limit`; `lastId` is where the next page starts after. */
export async function listClassifiers(
  deps: Pick<Deps, 'db' | 'classifier'>,
  tenant: string,
  page: { limit: number; after: string | null },
): Promise<{ data: Classifier[]; hasMore: boolean; lastId: string | null }> {
  const rows = await listRows(deps.db, tenant, page);
  const shown = rows.slice(0, page.limit);
  const described = await Promise.all(shown.map(async (row) => ({ row, description: await deps.classifier(row.id).describe() })));
  return {
    data: described.flatMap(({ row, description }) => (description ? [toClassifier(row, description)] : [])),
    hasMore: rows.length > page.limit,
    lastId: shown.at(-1)?.id ?? null,
  };
}
