/** The classifier that a job transfers from: this tenant's, of the same kind as the dataset, with something to learn from. */
import type { DatasetManifest } from '../../../shared/dataset.ts';
import { GraftError } from '../../../shared/errors.ts';
import type { CreateJobRequest } from '../../../shared/wire/jobs.ts';
import { list } from '../../domain/gate-words.ts';
import type { Deps } from '../../deps.ts';
import { getTrainable } from '../../stores/jobs.ts';
import type { DatasetRow } from '../../stores/datasets.ts';

export type Source = { readonly id: string; readonly backbone: string | null };

/**
 * Null when the job names none. `adapting`: its examples are the labelled source, and the dataset is the target. Throws `not_found` for a classifier
 * that is not this tenant's and `unprocessable` for one that does not fit, naming the parameter.
 */
export async function checkSource(
  deps: Pick<Deps, 'db' | 'classifier'>,
  tenant: string,
  request: Pick<CreateJobRequest, 'source_classifier' | 'classifier' | 'validation_dataset'>,
  of: { readonly dataset: DatasetRow; readonly manifest: DatasetManifest; readonly adapting: boolean },
): Promise<Source | null> {
  const id = request.source_classifier ?? null;
  if (id === null) return null;
  const refuse = (detail: string) => new GraftError('unprocessable', detail, { param: 'source_classifier' });
  const row = await getTrainable(deps.db, tenant, id);
  if (!row) throw new GraftError('not_found', `There is no classifier "${id}".`, { param: 'source_classifier' });
  if (id === request.classifier) throw refuse('This is the classifier that is trained; its own examples are learnt from in any case.');
  if (row.modality !== of.dataset.modality) throw refuse(`It is over ${row.modality}, the dataset over ${of.dataset.modality}.`);
  if (row.task !== 'single_label') throw refuse('It has several labels an input; only classifiers of single labels can be transferred from.');
  if (of.dataset.fromClassifier === id) throw refuse('The dataset was made of its examples, so nothing would be left to judge by.');
  const { examples, fromDatasets } = await deps.classifier(id).exportForTraining();
  const labels = [...new Set(examples.flatMap((example) => example.labels))];
  if (labels.length === 0 && fromDatasets > 0)
    throw refuse(
      `Its ${fromDatasets} examples are rows of datasets that it was trained on. Name those datasets instead; only enrolled examples transfer.`,
    );
  if (labels.length === 0) throw refuse('It has no examples, so there is nothing to transfer.');
  if (!of.adapting) return row;
  if (labels.length < 2) throw refuse(`A labelled source needs examples of at least two labels; it has only ${list(labels)}.`);
  const strange = of.manifest.labels.filter((label) => !labels.includes(label));
  if (strange.length > 0) throw refuse(`The dataset has labels that it has no example of: ${list(strange)}.`);
  const heldOut = [...Object.values(of.manifest.counts.validation ?? {}), ...Object.values(of.manifest.counts.test ?? {})];
  if (!request.validation_dataset && heldOut.every((rows) => rows === 0))
    throw new GraftError('unprocessable', 'The dataset is what is adapted to here; it needs labelled rows held out, or a validation_dataset.', {
      param: 'dataset',
    });
  return row;
}
