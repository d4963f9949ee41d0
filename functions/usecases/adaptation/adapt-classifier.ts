/** Adapts a classifier to the domain of some inputs: embeds them and asks its object, which has the examples, to solve and to judge. */
import { GraftError } from '../../../shared/errors.ts';
import type { AdaptRequest } from '../../../shared/wire/adaptation.ts';
import type { Version } from '../../../shared/wire/classifiers.ts';
import type { Deps } from '../../deps.ts';
import { readInput } from '../../domain/read-input.ts';
import { loadClassifier } from '../classifiers/load-classifier.ts';
import { unwrap } from '../classifiers/unwrap.ts';
import { needDataset } from '../datasets/get-dataset.ts';
import { recordEvent } from '../events/record-event.ts';
import { eachInput } from '../predict/each-input.ts';
import { embedInput } from '../predict/embed-input.ts';
import { toVersion } from '../versions/versions.ts';

type Needs = Pick<Deps, 'db' | 'encoder' | 'classifier' | 'heads' | 'newId' | 'now' | 'deliveries'>;

/** Throws `negative_transfer` with the evidence when the answers would not get better. */
export async function adaptClassifier(deps: Needs, asked: { tenant: string; id: string; request: AdaptRequest }): Promise<Version> {
  const { tenant, id, request } = asked;
  const classifier = await loadClassifier(deps, tenant, id);
  if (request.dataset !== undefined) await refuseDataset(deps, tenant, request.dataset);
  const targets = await eachInput(
    request.inputs ?? [],
    (index) => `/inputs/${index}`,
    async (input) => {
      const { base } = await embedInput(deps, readInput(input, classifier), { backbone: classifier.backbone, model: null });
      return { base, label: input.label ?? null };
    },
  );
  const version = toVersion(unwrap(await deps.classifier(id).adapt(targets)));
  deps.heads.forget(id);
  const data = { classifier: id, version: version.n, previous: version.parent, kind: version.kind, model: version.model, reason: 'adapted' };
  await recordEvent(deps, { tenant, type: 'classifier.version.activated', data });
  return version;
}

/** A frozen dataset holds pixels or tokens; embedding thousands of them is the trainer's work, not that of one request. */
async function refuseDataset(deps: Needs, tenant: string, id: string): Promise<never> {
  const dataset = await needDataset(deps, tenant, id, 'dataset');
  if (dataset.status !== 'ready')
    throw new GraftError('dataset_not_ready', `The dataset "${id}" is ${dataset.status}; it can be used once it is ready.`, { param: 'dataset' });
  throw new GraftError(
    'unprocessable',
    `The dataset "${id}" has no frozen embeddings to read here. Send some of its inputs as "inputs", or train with the method domain_adaptation and this as target_dataset.`,
    { param: 'dataset' },
  );
}
