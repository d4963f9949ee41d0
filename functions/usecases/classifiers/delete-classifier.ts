/** Deletes a classifier with its examples, versions and originals. The row goes first: from then on nobody can reach the rest. */
import type { Deps } from '../../deps.ts';
import { missing } from '../../domain/missing.ts';
import { markClassifierDeleted } from '../../stores/classifiers.ts';
import { forgetOriginals } from '../examples/originals.ts';
import { forgetForPrediction } from './load-classifier.ts';

export async function deleteClassifier(
  deps: Pick<Deps, 'db' | 'now' | 'classifier' | 'objects' | 'heads'>,
  tenant: string,
  id: string,
): Promise<void> {
  if (!(await markClassifierDeleted(deps.db, tenant, id, deps.now()))) throw missing('classifier', id);
  forgetForPrediction(id);
  deps.heads.forget(id);
  const { objectKeys } = await deps.classifier(id).destroy();
  await forgetOriginals(deps, tenant, objectKeys);
}
