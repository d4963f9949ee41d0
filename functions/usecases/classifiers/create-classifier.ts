/** Makes a classifier: its Durable Object first, then the row that makes it visible. A crash in between leaves an object that nobody can name. */
import { SHIPPED_BACKBONES } from '../../../shared/catalogue.ts';
import { GraftError } from '../../../shared/errors.ts';
import type { Classifier, CreateClassifier } from '../../../shared/wire/classifiers.ts';
import type { Deps } from '../../deps.ts';
import { insertClassifier, type StoredClassifier } from '../../stores/classifiers.ts';
import { embedLabels } from './embed-labels.ts';
import { describeClassifier, toClassifier } from './load-classifier.ts';

type Needs = Pick<Deps, 'db' | 'newId' | 'now' | 'classifier' | 'catalogue' | 'labelVectors'>;

export async function createClassifier(deps: Needs, tenant: string, input: CreateClassifier): Promise<Classifier> {
  refuseRepeatedLabels(input);
  const on = await chooseBackbone(deps, input);
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
  await deps.classifier(id).create({ id, tenant, modality, backbone, dimension, transform: on.transform, task, falseRejectRate }, labels);
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

type On = { backbone: string | null; dimension: number; transform: 'l2' | 'sqrt_l2' };

async function chooseBackbone(deps: Pick<Deps, 'catalogue'>, input: CreateClassifier): Promise<On> {
  if (input.modality === 'vector') {
    if (input.backbone !== undefined)
      throw new GraftError('invalid_request', 'A classifier of vectors has no backbone; leave "backbone" out.', { param: 'backbone' });
    if (input.dimension === undefined)
      throw new GraftError('invalid_request', 'A classifier of vectors needs "dimension": how long they are.', { param: 'dimension' });
    return { backbone: null, dimension: input.dimension, transform: 'l2' };
  }
  const id = input.backbone ?? SHIPPED_BACKBONES[input.modality];
  const manifest = await deps.catalogue.get(id);
  if (!manifest && input.backbone === undefined)
    throw new GraftError('unavailable', `The backbone "${id}" is not published in the object storage yet; run the set-up.`);
  if (!manifest || manifest.modality !== input.modality) {
    const what = manifest ? `The backbone "${id}" reads ${manifest.modality}, not ${input.modality}.` : `There is no backbone "${id.slice(0, 100)}".`;
    throw new GraftError('unknown_backbone', `${what} See GET /v1/backbones.`, { param: 'backbone' });
  }
  if (input.dimension !== undefined && input.dimension !== manifest.dimension)
    throw new GraftError('dimension_mismatch', `The backbone "${id}" gives ${manifest.dimension} values, not ${input.dimension}.`, {
      param: 'dimension',
    });
  return { backbone: id, dimension: manifest.dimension, transform: manifest.transform };
}
