/** Queues an advice job: the same machine as training, and a host that only measures. */
import { MethodOptions } from '../../../shared/method-options.ts';
import { GraftError } from '../../../shared/errors.ts';
import type { AdviceJob, CreateAdviceRequest } from '../../../shared/wire/jobs.ts';
import type { DatasetManifest } from '../../../shared/dataset.ts';
import { methodFault } from '../../domain/method-needs.ts';
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
  needTwoLabels(manifest);
  const fault = methodFault(LOOKS, { manifest, hasTarget: (request.target_dataset ?? null) !== null, hasSource: false });
  if (fault) throw new GraftError('unprocessable', fault.detail, { param: fault.param });
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
function needTwoLabels({ labels }: DatasetManifest): void {
  if (labels.length < 2)
    throw new GraftError('unprocessable', `Advice needs rows of at least two labels; this dataset has ${labels.length}.`, { param: 'dataset' });
}
