/** Reads, relabels and deletes single examples. */
import type { DeletedExample, Example, UpdatedExample, UpdateExample } from '../../../shared/wire/examples.ts';
import type { z } from 'zod';
import type { Deps } from '../../deps.ts';
import type { ExampleInfo } from '../../domain/classifier-object.ts';
import { missing } from '../../domain/missing.ts';
import { loadClassifier } from '../classifiers/load-classifier.ts';
import { unwrap } from '../classifiers/unwrap.ts';
import { refuseSeveralLabels } from './new-labels.ts';
import { forgetOriginals } from './originals.ts';

function toExample(info: ExampleInfo): Example {
  return {
    object: 'example',
    id: info.id,
    label: info.labels[0] ?? '',
    labels: [...info.labels],
    source: info.source,
    sha256: info.sha256,
    content_type: info.contentType,
    external_id: info.externalId,
    created_at: new Date(info.createdAt).toISOString(),
  };
}

export async function listExamples(
  deps: Pick<Deps, 'db' | 'classifier'>,
  tenant: string,
  id: string,
  page: { limit: number; after: string | null; label: string | null },
): Promise<{ data: Example[]; hasMore: boolean }> {
  await loadClassifier(deps, tenant, id);
  const { data, hasMore } = await deps.classifier(id).listExamples(page);
  return { data: data.map(toExample), hasMore };
}

export async function getExample(deps: Pick<Deps, 'db' | 'classifier'>, tenant: string, id: string, example: string): Promise<Example> {
  await loadClassifier(deps, tenant, id);
  const info = await deps.classifier(id).getExample(example);
  if (!info) throw missing('example', example);
  return toExample(info);
}

/** Gives an example other labels, which must exist already: a typing error must not make a new class. */
export async function relabelExample(
  deps: Pick<Deps, 'db' | 'classifier' | 'heads'>,
  tenant: string,
  id: string,
  example: string,
  change: UpdateExample,
): Promise<UpdatedExample> {
  const classifier = await loadClassifier(deps, tenant, id);
  const labels = change.labels ?? (change.label === undefined ? [] : [change.label]);
  refuseSeveralLabels(classifier, labels);
  const { version, example: info } = unwrap(await deps.classifier(id).relabelExample(example, [...new Set(labels)]), {
    unknown_label: change.labels ? 'labels' : 'label',
  });
  deps.heads.forget(id);
  return { ...toExample(info), version };
}

/** Deletes an example as if it had never been there. Its original goes first: should the second step fail, a repetition finds both steps to do. */
export async function deleteExample(
  deps: Pick<Deps, 'db' | 'now' | 'classifier' | 'objects' | 'heads'>,
  tenant: string,
  id: string,
  example: string,
): Promise<z.infer<typeof DeletedExample>> {
  await loadClassifier(deps, tenant, id);
  const info = await deps.classifier(id).getExample(example);
  if (!info) throw missing('example', example);
  if (info.objectKey !== null) await forgetOriginals(deps, tenant, [info.objectKey]);
  const { version } = unwrap(await deps.classifier(id).deleteExample(example));
  deps.heads.forget(id);
  return { object: 'example', id: example, deleted: true, version };
}
