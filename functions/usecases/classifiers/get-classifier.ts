/** One classifier with its labels and served version. */
import type { Classifier } from '../../../shared/wire/classifiers.ts';
import type { Deps } from '../../deps.ts';
import { describeClassifier, loadClassifier, toClassifier } from './load-classifier.ts';

export async function getClassifier(deps: Pick<Deps, 'db' | 'classifier'>, tenant: string, id: string): Promise<Classifier> {
  const row = await loadClassifier(deps, tenant, id);
  return toClassifier(row, await describeClassifier(deps, row));
}
