/** Makes a classifier: its Durable Object first, then the row that makes it visible. A crash in between leaves an object that nobody can name. */
import { GraftError } from '../../../shared/errors.ts';
import type { Classifier, CreateClassifier } from '../../../shared/wire/classifiers.ts';
import type { Deps } from '../../deps.ts';
import { insertClassifier, type StoredClassifier } from '../../stores/classifiers.ts';
import { chooseBackbone } from './choose-backbone.ts';
import { embedLabels } from './embed-labels.ts';
import { describeClassifier, toClassifier } from './load-classifier.ts';

type Needs = Pick<Deps, 'db' | 'newId' | 'now' | 'classifier' | 'catalogue' | 'labelVectors'>;

export async function createClassifier(deps: Needs, tenant: string, input: CreateClassifier): Promise<Classifier> {
  refuseRepeatedLabels(input);
  const on = await chooseBackbone(deps, tenant, input);
  const row: StoredClassifier = {
    id: deps.newId('classifier'),
    tenant,
    name: input.name,
    modality: input.modality,
    backbone: on.backbone,
    dimension: on.dimension,
    task: input.task,
    falseRejectRate: input.unknown?.false_reject_rate ?? null,
    review: input.review,
    createdAt: deps.now(),
  };
  const labels = await embedLabels(
    deps,
    row,
    input.labels.map(({ name, description }) => ({ name, description: description || null })),
  );
  const { id, modality, backbone, dimension, task, falseRejectRate } = row;
  await deps.classifier(id).create({ id, tenant, modality, backbone, dimension, transform: on.transform, task, falseRejectRate }, labels, on.start);
  await insertClassifier(deps.db, row);
  return toClassifier(row, await describeClassifier(deps, row));
}

function refuseRepeatedLabels(input: CreateClassifier): void {
  const seen = new Set<string>();
  for (const [i, { name }] of input.labels.entries()) {
    if (seen.has(name)) {
      const detail = `The label "${name}" is given twice.`;
      throw new GraftError('invalid_request', detail, { errors: [{ pointer: `/labels/${i}/name`, code: 'repeated', detail }] });
    }
    seen.add(name);
  }
}
