/** Labels that an enrollment brings with it. */
import { GraftError } from '../../../shared/errors.ts';
import { LABELS_MAX } from '../../../shared/limits.ts';
import type { LabelInfo } from '../../domain/classifier-object.ts';
import type { StoredClassifier } from '../../stores/classifiers.ts';
import type { NamedLabel } from '../classifiers/embed-labels.ts';

/** Those of `named` that do not exist yet. Throws `unprocessable` when there would be too many. */
export function newLabelsAmong(existing: readonly LabelInfo[], named: readonly string[]): NamedLabel[] {
  const known = new Set(existing.map((label) => label.name));
  const names = [...new Set(named)].filter((name) => !known.has(name));
  if (known.size + names.length > LABELS_MAX)
    throw new GraftError('unprocessable', `A classifier has at most ${LABELS_MAX} labels; this would make ${known.size + names.length}.`);
  return names.map((name) => ({ name, description: null }));
}

/** Throws `unprocessable` when a classifier that gives one label is told several. */
export function refuseSeveralLabels(classifier: Pick<StoredClassifier, 'task'>, labels: readonly string[]): void {
  if (classifier.task === 'single_label' && labels.length !== 1)
    throw new GraftError('unprocessable', 'The classifier gives one label to each input; give one label.', { param: 'labels' });
}
