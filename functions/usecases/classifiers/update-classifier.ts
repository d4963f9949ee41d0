/** Changes a classifier's name, or how sure it must be before it answers a label; the latter makes a new version. */
import type { Classifier, UpdateClassifier } from '../../../shared/wire/classifiers.ts';
import type { Deps } from '../../deps.ts';
import { missing } from '../../domain/missing.ts';
import { updateClassifier as updateRow } from '../../stores/classifiers.ts';
import { describeClassifier, loadClassifier, toClassifier } from './load-classifier.ts';

export async function updateClassifier(
  deps: Pick<Deps, 'db' | 'classifier' | 'heads'>,
  tenant: string,
  id: string,
  change: UpdateClassifier,
): Promise<Classifier> {
  await loadClassifier(deps, tenant, id);
  const falseRejectRate = change.unknown === undefined ? undefined : (change.unknown?.false_reject_rate ?? null);
  if (falseRejectRate !== undefined) {
    await deps.classifier(id).configure({ falseRejectRate });
    deps.heads.forget(id);
  }
  const row = await updateRow(deps.db, tenant, id, {
    ...(change.name === undefined ? {} : { name: change.name }),
    ...(falseRejectRate === undefined ? {} : { falseRejectRate }),
  });
  if (!row) throw missing('classifier', id);
  return toClassifier(row, await describeClassifier(deps, row));
}
