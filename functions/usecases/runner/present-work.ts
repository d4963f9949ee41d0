/** What a host gets to do its work: presigned downloads of exactly the files that this piece of work needs. */
import { SHIPPED_BACKBONES, type Task } from '../../../shared/catalogue.ts';
import { MethodOptions } from '../../../shared/method-options.ts';
import { ModelManifest } from '../../../shared/model-manifest.ts';
import { GraftError } from '../../../shared/errors.ts';
import { decodeHead } from '../../../shared/head-file.ts';
import { ENROLLED_TRAINED_MAX } from '../../../shared/limits.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import type { Download, TrainWork, ValidateWork, WorkExample } from '../../../shared/runner.ts';
import { Job } from '../../../shared/wire/jobs.ts';
import { sha256Hex } from '../../domain/digests.ts';
import { networkOf } from '../../domain/model-network.ts';
import type { Deps } from '../../deps.ts';
import { listCheckpoints } from '../../stores/checkpoints.ts';
import { getDataset, getUpload } from '../../stores/datasets.ts';
import { getJob, getTrainable } from '../../stores/jobs.ts';
import { getModel } from '../../stores/models.ts';
import type { WorkRow } from '../../stores/work.ts';
import type { LeasedInputs } from './leased-inputs.ts';
import {
  advisedBackbones,
  blob,
  download,
  inspectionBackbone,
  labelTexts,
  needBackbone,
  reusableAdvice,
  taughtRows,
  workBackbone,
  workDataset,
} from './present-inputs.ts';

type Needs = Pick<Deps, 'db' | 'objects' | 'classifier'>;

/**
 * One for all datasets: rows are divided by their content, so what is held out of a dataset is held out of the next one that has it too, when it comes
 * again with more rows. Else the model that is served would have been taught a good part of what judges it.
 */
const SPLIT_SEED = 1;

export async function presentValidation(deps: Needs, work: WorkRow): Promise<ValidateWork> {
  const row = await getDataset(deps.db, work.tenantId, work.id);
  if (!row) throw new GraftError('not_found', 'The dataset was deleted.');
  const upload = row.uploadId === null ? null : await getUpload(deps.db, work.tenantId, row.id, row.uploadId);
  const archive = upload && {
    ...(await download(deps, upload.objectKey, { bytes: upload.bytes, sha256: upload.sha256 })),
    filename: upload.filename,
  };
  return {
    kind: 'validate',
    dataset: row.id,
    name: row.name,
    modality: row.modality,
    task: row.task,
    format: row.format,
    columns: row.columns ?? null,
    split_seed: SPLIT_SEED,
    archive,
    ...(row.format === 'classifier'
      ? await classifierExamples(deps, work.tenantId, row.fromClassifier)
      : { examples: null, examples_of_datasets: 0 }),
    vocabulary: row.modality === 'text' ? await vocabulary(deps) : null,
    backbone: await inspectionBackbone(deps, row.modality),
  };
}

async function classifierExamples(deps: Needs, tenant: string, id: string | null): Promise<Pick<ValidateWork, 'examples' | 'examples_of_datasets'>> {
  const row = id === null ? null : await getTrainable(deps.db, tenant, id);
  if (!row) throw new GraftError('not_found', 'The classifier of this dataset was deleted.');
  const { examples, fromDatasets } = await deps.classifier(row.id).exportForTraining();
  return { examples: await originals(deps, examples, row.task), examples_of_datasets: fromDatasets };
}

type Exported = Awaited<ReturnType<ReturnType<Deps['classifier']>['exportForTraining']>>;

/** Examples with an original and, unless the classifier gives several, one label; those that came from a dataset are in that dataset. */
async function originals(deps: Needs, examples: Exported['examples'], task: Task): Promise<WorkExample[]> {
  const several = task === 'multi_label';
  const usable = examples.filter((example) => example.source === 'enrolled' && (several || example.labels.length === 1));
  if (usable.length > ENROLLED_TRAINED_MAX)
    throw new GraftError(
      'unprocessable',
      `The classifier has ${usable.length} enrolled examples, and a lease takes ${ENROLLED_TRAINED_MAX} at most. Upload them as a dataset.`,
    );
  return await Promise.all(
    usable.flatMap(({ id, labels, contentType, sha256, objectKey }) =>
      objectKey === null
        ? []
        : [
            download(deps, objectKey, { bytes: null, sha256 }).then((file) => ({
              id,
              label: several ? null : (labels[0] ?? null),
              labels: several ? [...labels] : null,
              content_type: contentType ?? 'application/octet-stream',
              sha256,
              download: file,
            })),
          ],
    ),
  );
}

async function vocabulary(deps: Needs): Promise<Download> {
  const manifest = await needBackbone(deps, SHIPPED_BACKBONES.text);
  if (!manifest.vocabulary) throw new GraftError('unavailable', `The backbone "${manifest.id}" has no vocabulary.`);
  return await blob(deps, manifest.vocabulary);
}

export async function presentTraining(deps: Needs, work: WorkRow): Promise<{ work: TrainWork; inputs: LeasedInputs }> {
  const job = await getJob(deps.db, work.tenantId, work.id);
  if (!job) throw new GraftError('not_found', 'The job was deleted.');
  const dataset = await workDataset(deps, work.tenantId, job.datasetId, 'dataset');
  const side = async (id: string | null, role: string) => (id === null ? null : await workDataset(deps, work.tenantId, id, role));
  const method = MethodOptions.parse(job.method);
  const classifier = job.classifierId === null ? null : await exported(deps, work, job.classifierId);
  const source = job.sourceClassifierId === null ? null : await exported(deps, work, job.sourceClassifierId);
  const judge = classifier?.incumbent ? classifier : (source ?? classifier);
  const [checkpoint] = await listCheckpoints(deps.db, job.id);
  const target = await side(job.targetDatasetId, 'target dataset');
  const exclude = Job.shape.exclude.parse(job.exclude) ?? [];
  return {
    inputs: {
      version: classifier?.inputs.version ?? null,
      labels: judge?.inputs.labels ?? null,
      network: judge?.inputs.network ?? null,
      fromSource: judge !== null && judge === source,
    },
    work: {
      kind: 'train',
      action: job.kind === 'advice' ? 'advise' : 'train',
      validation: await side(job.validationDatasetId, 'validation dataset'),
      target,
      exclude,
      advice: await reusableAdvice(deps, job, { method, dataset, target, exclude }),
      backbones: job.kind === 'advice' ? await advisedBackbones(deps, job.backbone, dataset.manifest.modality) : [],
      label_texts: await labelTexts(deps, { classifierId: job.classifierId, method }, dataset),
      job: job.id,
      seed: job.seed,
      method,
      dataset,
      backbone: await workBackbone(deps, await needBackbone(deps, job.backbone)),
      enrolled: classifier?.enrolled ?? [],
      source: source && { classifier: job.sourceClassifierId ?? '', examples: source.enrolled },
      incumbent: judge?.incumbent ?? null,
      taught: judge?.incumbent ? await taughtRows(deps, work.tenantId, judge.rows) : [],
      checkpoint: checkpoint ? { ...(await download(deps, checkpoint.objectKey, checkpoint)), epoch: checkpoint.epoch } : null,
      false_reject_rate: classifier?.falseRejectRate ?? null,
    },
  };
}

/** The head that is served now goes to object storage beside the job, so that host and gate mean the same version. */
async function exported(deps: Needs, work: WorkRow, id: string) {
  const row = await getTrainable(deps.db, work.tenantId, id);
  if (!row) throw new GraftError('not_found', 'The classifier of this job was deleted.');
  const now = await deps.classifier(id).exportForTraining();
  const enrolled = await originals(deps, now.examples, row.task);
  const model = now.model === null ? null : await getModel(deps.db, work.tenantId, now.model);
  const inputs: Omit<LeasedInputs, 'fromSource'> = {
    version: now.version,
    labels: now.head === null ? null : [...decodeHead(now.head).labels],
    network: now.head === null ? null : model ? networkOf(ModelManifest.parse(model.manifest)) : 'base',
  };
  let incumbent: TrainWork['incumbent'] = null;
  if (now.head !== null) {
    const key = objectKeys.incumbent(work.tenantId, work.id, work.fence, `${id}-head.safetensors`);
    await deps.objects.put(key, now.head);
    const head = await download(deps, key, { bytes: now.head.length, sha256: await sha256Hex(now.head) });
    const part = async (name: string): Promise<Download | null> => {
      const key = model?.files[name];
      return key === undefined ? null : await download(deps, key, { bytes: null, sha256: null });
    };
    incumbent = {
      version: now.version,
      head,
      tail: await part('tail.onnx'),
      tail_data: await part('tail.onnx.data'),
      trunk: await part('trunk.onnx'),
      trunk_data: await part('trunk.onnx.data'),
    };
  }
  return { enrolled, inputs, incumbent, rows: now.rows, falseRejectRate: now.falseRejectRate };
}
