/** What a classifier, or one version of it, takes and gives in the words of the Open Inference Protocol. */
import { PLATFORM, type ModelMetadata } from '../../../shared/wire/inference-protocol.ts';
import type { Deps } from '../../deps.ts';
import { loadClassifier } from '../classifiers/load-classifier.ts';
import { getVersion, listVersions } from '../versions/versions.ts';
import { heldVersion } from './held-version.ts';
import { INPUT_NAMES } from './read-tensor.ts';

/** @param n undefined: the active version */
export type ModelAsked = { readonly id: string; readonly n?: number | undefined };

export async function describeModel(deps: Pick<Deps, 'db' | 'classifier'>, tenant: string, { id, n }: ModelAsked): Promise<ModelMetadata> {
  const classifier = await loadClassifier(deps, tenant, id);
  const versions = n === undefined ? await listVersions(deps, tenant, id) : [await getVersion(deps, tenant, id, n)];
  const { labels } = versions.find((v) => v.active) ?? versions[0]!;
  const vector = classifier.modality === 'vector';
  return {
    name: id,
    versions: versions.map((v) => String(v.n)).toReversed(),
    platform: PLATFORM,
    inputs: [
      {
        name: INPUT_NAMES[classifier.modality],
        datatype: vector ? 'FP32' : 'BYTES',
        shape: vector ? [-1, classifier.dimension] : [-1],
      },
    ],
    outputs: [
      { name: 'label', datatype: 'BYTES', shape: [-1] },
      ...(classifier.task === 'multi_label'
        ? [{ name: 'labels', datatype: 'BOOL' as const, shape: [-1, labels.length], parameters: { labels } }]
        : []),
      { name: 'scores', datatype: 'FP32', shape: [-1, labels.length], parameters: { labels } },
      { name: 'embedding', datatype: 'FP32', shape: [-1, classifier.dimension] },
    ],
  };
}

/** Throws `not_found`, and `nothing_to_predict` while it has nothing to answer with. */
export async function checkModel(deps: Pick<Deps, 'db' | 'classifier' | 'heads'>, tenant: string, { id, n }: ModelAsked): Promise<void> {
  await loadClassifier(deps, tenant, id);
  await heldVersion(deps, id, n);
}
