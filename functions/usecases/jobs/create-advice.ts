/** Queues an advice job: the same machine as training, and a host that only measures. */
import { MethodOptions } from '../../../shared/method-options.ts';
import { GraftError } from '../../../shared/errors.ts';
import type { AdviceJob, CreateAdviceRequest } from '../../../shared/wire/jobs.ts';
import type { DatasetManifest } from '../../../shared/dataset.ts';
import type { Deps } from '../../deps.ts';
import { needDataset } from '../datasets/get-dataset.ts';
import { chooseBackbone } from './create-job.ts';
import { presentAdviceJob } from './present-job.ts';
import { queueJob } from './queue-job.ts';
import { checkSideDatasets, needReady } from './side-datasets.ts';

/** Advice looks at embeddings only, so a backbone that cannot be tuned will do. */
const LOOKS = MethodOptions.parse({ type: 'linear_probe' });

type Needs = Pick<Deps, 'db' | 'objects' | 'deliveries' | 'newId' | 'now'>;

export async function createAdvice(deps: Needs, input: { tenant: string; request: CreateAdviceRequest }): Promise<AdviceJob> {
  const { tenant, request } = input;
  const dataset = await needDataset(deps, tenant, request.dataset, 'dataset');
  const manifest = needReady(dataset, 'dataset');
  if (manifest.task === 'multi_label') {
    const detail = 'Advice measures how well one label an input can be told; this dataset has several. "auto" chooses a method for it.';
    throw new GraftError('unprocessable', detail, { param: 'dataset' });
  }
  needTwoLabels(manifest);
  const { target } = await checkSideDatasets(deps, tenant, { target_dataset: request.target_dataset ?? null }, dataset);
  const backbone = await chooseBackbone(deps, tenant, { backbone: request.backbone ?? null }, dataset, LOOKS);
  const row = await queueJob(deps, {
    tenantId: tenant,
    kind: 'advice',
    datasetId: dataset.id,
    validationDatasetId: null,
    targetDatasetId: target,
    sourceClassifierId: null,
    exclude: null,
    classifierId: null,
    backbone,
    method: MethodOptions.parse({}),
    seed: request.seed ?? null,
    promote: 'never',
    metadata: request.metadata ?? null,
  });
  return await presentAdviceJob(deps, row);
}

/** Unlike training, advice cross-validates: any split will do. */
function needTwoLabels(manifest: DatasetManifest): void {
  if (manifest.labels.length < 2)
    throw new GraftError('unprocessable', `Advice needs rows of at least two labels; this dataset has ${manifest.labels.length}.`, {
      param: 'dataset',
    });
}
