/**
 * Deletes a classifier with its examples, versions and originals. The row goes first: from then on nobody can reach the rest. The object that knows the
 * originals goes last: a deletion that was cut off, because the storage did not answer, goes on when it is asked for again.
 */
import type { Deps } from '../../deps.ts';
import { missing } from '../../domain/missing.ts';
import { markClassifierDeleted, wasDeleted } from '../../stores/classifiers.ts';
import { removeWithOriginals } from '../examples/originals.ts';
import { forgetForPrediction } from './load-classifier.ts';

export async function deleteClassifier(
  deps: Pick<Deps, 'db' | 'now' | 'classifier' | 'objects' | 'heads'>,
  tenant: string,
  id: string,
): Promise<void> {
  const object = deps.classifier(id);
  const marked = await markClassifierDeleted(deps.db, tenant, id, deps.now());
  if (!marked && !((await wasDeleted(deps.db, tenant, id)) && (await object.describe()))) throw missing('classifier', id);
  forgetForPrediction(id);
  deps.heads.forget(id);
  await removeWithOriginals(deps, tenant, await object.originals(null), async () => await object.destroy());
}
