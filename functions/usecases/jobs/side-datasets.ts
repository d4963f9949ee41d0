/** The datasets beside the one that a job trains on: another domain to adapt to, and rows to be judged by. */
import { DatasetManifest } from '../../../shared/dataset.ts';
import { GraftError } from '../../../shared/errors.ts';
import type { CreateJobRequest } from '../../../shared/wire/jobs.ts';
import { list } from '../../domain/gate-words.ts';
import { heldOutRows, judgingTasksFault } from '../../domain/method-needs.ts';
import type { Deps } from '../../deps.ts';
import type { DatasetRow } from '../../stores/datasets.ts';
import { needDataset } from '../datasets/get-dataset.ts';

/** In words, where two of them differ. */
export const LABELS_OF = { single_label: 'one label an input', multi_label: 'several labels an input' } as const;

type Param = 'dataset' | 'validation_dataset' | 'target_dataset';

/** Throws `dataset_not_ready`, naming the parameter. */
export function needReady(row: DatasetRow, param: Param): DatasetManifest {
  if (row.status !== 'ready') {
    const hint = { awaiting_upload: 'Upload its file first.', validating: 'Wait until it is ready.', invalid: 'Its errors say why.' };
    throw new GraftError('dataset_not_ready', `The ${param.replace('_', ' ')} is ${row.status}. ${hint[row.status]}`, { param });
  }
  return DatasetManifest.parse(row.manifest);
}

/**
 * The ids of both, checked: this tenant's, ready, other rows, of the same modality, and with no label that training could not know. `judged`: a model
 * is judged by their rows and not by the dataset's own.
 */
export async function checkSideDatasets(
  deps: Pick<Deps, 'db'>,
  tenant: string,
  request: Pick<CreateJobRequest, 'validation_dataset' | 'target_dataset' | 'method'>,
  dataset: DatasetRow,
): Promise<{ validation: string | null; target: string | null; judged: boolean }> {
  let judged = false;
  const one = async (param: Exclude<Param, 'dataset'>): Promise<string | null> => {
    const id = request[param] ?? null;
    if (id === null) return null;
    const refuse = (detail: string) => new GraftError('unprocessable', detail, { param });
    if (id === dataset.id)
      throw refuse('This is the dataset that is trained on. Held-out rows of its own need no second dataset; a target is another domain.');
    const row = await needDataset(deps, tenant, id, param);
    const manifest = needReady(row, param);
    judged ||= param === 'validation_dataset' || heldOutRows(manifest) > 0;
    if (row.modality !== dataset.modality) throw refuse(`It holds ${row.modality}, the dataset ${dataset.modality}.`);
    if (row.task !== dataset.task) throw refuse(`It has ${LABELS_OF[row.task]}, the dataset ${LABELS_OF[dataset.task]}.`);
    const trained = DatasetManifest.parse(dataset.manifest);
    if (request.method?.type === 'multi_task' && param === 'validation_dataset') {
      const fault = judgingTasksFault(request.method, trained, manifest);
      if (fault) throw refuse(fault);
      return row.id;
    }
    const known = new Set(trained.labels);
    const strange = manifest.labels.filter((label) => !known.has(label));
    if (strange.length > 0) throw refuse(`It has labels that the dataset has no row of: ${list(strange)}.`);
    if (param === 'validation_dataset' && manifest.labels.length === 0)
      throw refuse('None of its rows has a label, so nothing can be judged by them.');
    return row.id;
  };
  const validation = await one('validation_dataset');
  const target = await one('target_dataset');
  if (validation !== null && validation === target)
    throw new GraftError(
      'unprocessable',
      'One dataset cannot be adapted to and be held out as a whole. Give its rows splits and name it as the target only.',
      {
        param: 'validation_dataset',
      },
    );
  return { validation, target, judged };
}
