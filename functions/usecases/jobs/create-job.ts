/** Queues a training job after checking everything that can be known now, so that a host never starts what cannot end. */
import { BackboneId, BackboneManifest, SHIPPED_BACKBONES } from '../../../shared/catalogue.ts';
import type { DatasetManifest } from '../../../shared/dataset.ts';
import { MethodOptions } from '../../../shared/method-options.ts';
import { GraftError } from '../../../shared/errors.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import type { CreateJobRequest, Job } from '../../../shared/wire/jobs.ts';
import { adaptsToTarget, heldOutRows, methodFault } from '../../domain/method-needs.ts';
import type { Deps } from '../../deps.ts';
import { getTrainable } from '../../stores/jobs.ts';
import type { DatasetRow } from '../../stores/datasets.ts';
import { needDataset } from '../datasets/get-dataset.ts';
import { presentJob } from './present-job.ts';
import { queueJob } from './queue-job.ts';
import { checkSideDatasets, LABELS_OF, needReady } from './side-datasets.ts';
import { checkSource } from './source-classifier.ts';

type Needs = Pick<Deps, 'db' | 'objects' | 'deliveries' | 'newId' | 'now'>;

export async function createJob(deps: Needs & Pick<Deps, 'classifier'>, input: { tenant: string; request: CreateJobRequest }): Promise<Job> {
  const { tenant, request } = input;
  const dataset = await needDataset(deps, tenant, request.dataset, 'dataset');
  const manifest = needReady(dataset, 'dataset');
  const method = request.method ?? MethodOptions.parse({});
  // With a source to learn from and no other target, the dataset is what is adapted to; then it needs no labels.
  const adapting = adaptsToTarget(method.type) && Boolean(request.source_classifier) && !request.target_dataset;
  if (!adapting) needTrainable(manifest);
  const hasTarget = adapting || Boolean(request.target_dataset);
  const fault = methodFault(method, { manifest, hasTarget, hasSource: Boolean(request.source_classifier) });
  if (fault) throw new GraftError('unprocessable', fault.detail, { param: fault.param });
  needRows(manifest, request.exclude);
  const side = await checkSideDatasets(deps, tenant, request, dataset);
  // Of several tasks the counts tell one; a source that is adapted from is checked with its own needs.
  if (!side.judged && !adapting && method.type !== 'multi_task') needHeldOut(manifest);
  const source = await checkSource(deps, tenant, request, { dataset, manifest, adapting });
  const wanted = request.classifier ? request : { ...request, backbone: request.backbone ?? source?.backbone ?? null };
  const backbone = await chooseBackbone(deps, tenant, wanted, dataset, method);
  if (source && source.backbone !== backbone)
    throw new GraftError('unprocessable', `It runs on "${source.backbone}", the job on "${backbone}".`, { param: 'source_classifier' });
  const row = await queueJob(deps, {
    tenantId: tenant,
    kind: 'training',
    datasetId: dataset.id,
    validationDatasetId: side.validation,
    targetDatasetId: side.target,
    sourceClassifierId: source?.id ?? null,
    exclude: request.exclude ?? null,
    classifierId: request.classifier ?? null,
    backbone,
    method,
    seed: request.seed ?? null,
    promote: request.promote,
    metadata: request.metadata ?? null,
  });
  return await presentJob(deps, row);
}

function needRows(manifest: DatasetManifest, exclude: CreateJobRequest['exclude']): void {
  const strange = (exclude ?? []).find((one) => typeof one === 'number' && one >= manifest.rows);
  if (strange === undefined) return;
  throw new GraftError('unprocessable', `The dataset has no row ${strange}; its rows are 0 to ${manifest.rows - 1}.`, { param: 'exclude' });
}

function needTrainable(manifest: DatasetManifest): void {
  const withTraining = manifest.labels.filter((label) => (manifest.counts.train?.[label] ?? 0) > 0);
  if (withTraining.length < 2)
    throw new GraftError('unprocessable', `Training needs at least two labels with training rows; this dataset has ${withTraining.length}.`, {
      param: 'dataset',
    });
}

function needHeldOut(manifest: DatasetManifest): void {
  if (heldOutRows(manifest) > 0) return;
  const detail =
    'No labelled row of this dataset is in the validation or test split, so nothing could be proven. Give rows a split, or 5 rows to a label where none has one, or name a validation_dataset.';
  throw new GraftError('unprocessable', detail, { param: 'dataset' });
}

export async function chooseBackbone(
  deps: Needs,
  tenant: string,
  request: Pick<CreateJobRequest, 'backbone' | 'classifier'>,
  dataset: DatasetRow,
  method: MethodOptions,
): Promise<string> {
  let wanted: string | null = request.backbone ?? null;
  if (request.classifier) {
    const classifier = await getTrainable(deps.db, tenant, request.classifier);
    if (!classifier) throw new GraftError('not_found', `There is no classifier "${request.classifier}".`, { param: 'classifier' });
    if (classifier.modality !== dataset.modality) {
      const detail = `The classifier is over ${classifier.modality}, the dataset over ${dataset.modality}.`;
      throw new GraftError('unprocessable', detail, { param: 'classifier' });
    }
    if (classifier.task !== dataset.task) {
      const detail = `The classifier has ${LABELS_OF[classifier.task]}, the dataset ${LABELS_OF[dataset.task]}.`;
      throw new GraftError('unprocessable', detail, { param: 'classifier' });
    }
    if (wanted !== null && wanted !== classifier.backbone) {
      const detail = `The classifier runs on "${classifier.backbone}"; a job for it cannot use "${wanted}".`;
      throw new GraftError('unprocessable', detail, { param: 'backbone' });
    }
    wanted = classifier.backbone;
  }
  const id = wanted ?? SHIPPED_BACKBONES[dataset.modality];
  // Ids become part of an object key: only those of the catalogue's form are looked up.
  const bytes = BackboneId.safeParse(id).success ? await deps.objects.get(objectKeys.backboneManifest(id)) : null;
  if (!bytes) throw new GraftError('unknown_backbone', `There is no backbone "${id}" to train on.`, { param: 'backbone' });
  const manifest = BackboneManifest.parse(JSON.parse(new TextDecoder().decode(bytes)));
  if (manifest.modality !== dataset.modality) {
    const detail = `The backbone "${id}" is for ${manifest.modality}, the dataset is ${dataset.modality}.`;
    throw new GraftError('unprocessable', detail, { param: 'backbone' });
  }
  if (manifest.weights === null && method.type !== 'linear_probe') {
    const detail = `The backbone "${id}" was added as a finished graph without trainable weights; only the method "linear_probe" trains on it.`;
    throw new GraftError('unprocessable', detail, { param: 'method.type' });
  }
  return id;
}
