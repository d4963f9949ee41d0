/** Adapts a classifier to the domain of some inputs: embeds them and asks its object, which has the examples, to solve and to judge. */
import { GraftError } from '../../../shared/errors.ts';
import type { Version } from '../../../shared/wire/classifiers.ts';
import type { Deps } from '../../deps.ts';
import type { TargetInput } from '../../domain/classifier-object.ts';
import type { Input } from '../../domain/read-input.ts';
import type { StoredClassifier } from '../../stores/classifiers.ts';
import { describeClassifier } from '../classifiers/load-classifier.ts';
import { unwrap } from '../classifiers/unwrap.ts';
import { recordEvent } from '../events/record-event.ts';
import { eachInput } from '../predict/each-input.ts';
import { refuseSeveralLabels } from '../examples/new-labels.ts';
import { embedInput } from '../predict/embed-input.ts';
import { versionEventData } from '../versions/version-event.ts';
import { toVersion } from '../versions/versions.ts';
import { datasetTarget } from './dataset-target.ts';

type Needs = Pick<Deps, 'db' | 'objects' | 'encoder' | 'classifier' | 'heads' | 'newId' | 'now' | 'deliveries'>;

/** What to adapt to: inputs, or the rows of a dataset. */
export type Target =
  | { readonly dataset: string }
  | {
      readonly inputs: readonly { readonly labels: readonly string[] | null; /** May throw a GraftError. */ readonly read: () => Input }[];
      /** JSON pointer of an input. */
      readonly at: (index: number) => string;
    };

/** Throws `negative_transfer` with the evidence when the answers would not get better. */
export async function adaptClassifier(deps: Needs, classifier: StoredClassifier, target: Target): Promise<Version> {
  const { id, tenant } = classifier;
  const { labels, model } = await describeClassifier(deps, classifier);
  const names = labels.map((l) => l.name);
  if ('inputs' in target) {
    for (const input of target.inputs) if (input.labels) refuseSeveralLabels(classifier, input.labels);
    refuseStrangers(target, names, classifier.task === 'single_label' ? 'label' : 'labels');
  }
  const { targets, source } =
    'dataset' in target
      ? await datasetTarget(deps, { tenant, dataset: target.dataset, classifier, model, labels: names })
      : { targets: await embedTargets(deps, classifier, model, target), source: null };
  const version = toVersion(unwrap(await deps.classifier(id).adapt(targets, { model, source })));
  deps.heads.forget(id);
  const made = { classifier: id, version: version.n, previous: version.parent, kind: version.kind, model: version.model, reason: 'adapted' } as const;
  await recordEvent(deps, { tenant, type: 'classifier.version.activated', data: versionEventData(made) });
  return version;
}

/** Before anything is embedded: that takes seconds. */
function refuseStrangers({ inputs, at }: Extract<Target, { inputs: unknown }>, names: readonly string[], field: 'label' | 'labels'): void {
  const errors = inputs.flatMap(({ labels }, i) =>
    (labels ?? [])
      .filter((label) => !names.includes(label))
      .map((label) => ({
        pointer: `${at(i)}/${field}`,
        code: 'unknown_label',
        detail: `This classifier has no label "${label}". It has: ${names.join(', ') || 'none'}.`,
      })),
  );
  const [first] = errors;
  if (first) throw new GraftError('unknown_label', first.detail, { errors, param: first.pointer.slice(1).replaceAll('/', '.') });
}

async function embedTargets(
  deps: Needs,
  classifier: StoredClassifier,
  model: string | null,
  { inputs, at }: Extract<Target, { inputs: unknown }>,
): Promise<TargetInput[]> {
  return await eachInput(inputs, at, async ({ read, labels }) => {
    const { base, tuned } = await embedInput(deps, read(), classifier, model);
    return { base, tuned, labels };
  });
}
