/** Changes a classifier's name, what it keeps for review, or how sure it must be before it answers a label; the last makes a new version. */
import type { Classifier, UpdateClassifier } from '../../../shared/wire/classifiers.ts';
import type { Deps } from '../../deps.ts';
import { missing } from '../../domain/missing.ts';
import { updateClassifier as updateRow } from '../../stores/classifiers.ts';
import { dropOldest } from '../review/keep-for-review.ts';
import { describeClassifier, forgetForPrediction, loadClassifier, toClassifier } from './load-classifier.ts';

export async function updateClassifier(
  deps: Pick<Deps, 'db' | 'classifier' | 'heads' | 'objects' | 'now'>,
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
    ...(change.review === undefined ? {} : { review: change.review }),
  });
  forgetForPrediction(id);
  if (!row) throw missing('classifier', id);
  if (change.review) await dropOldest(deps, row, change.review.max_items);
  return toClassifier(row, await describeClassifier(deps, row));
}
