/** Renames, describes, merges and deletes labels. Each change is a new version. */
import type { z } from 'zod';
import type { DeletedLabel, UpdatedLabel, UpdateLabel } from '../../../shared/wire/classifiers.ts';
import type { Deps } from '../../deps.ts';
import { missing } from '../../domain/missing.ts';
import { embedLabels } from '../classifiers/embed-labels.ts';
import { describeClassifier, loadClassifier } from '../classifiers/load-classifier.ts';
import { unwrap } from '../classifiers/unwrap.ts';
import { removeWithOriginals } from '../examples/originals.ts';

type Needs = Pick<Deps, 'db' | 'now' | 'classifier' | 'objects' | 'labelVectors' | 'heads'>;

export async function updateLabel(deps: Needs, tenant: string, id: string, name: string, change: UpdateLabel): Promise<UpdatedLabel> {
  const classifier = await loadClassifier(deps, tenant, id);
  const before = (await describeClassifier(deps, classifier)).labels.find((label) => label.name === name);
  if (!before) throw missing('label', name);
  const mergeInto = change.merge_into;
  const after = mergeInto ?? change.name ?? name;
  const description = change.description === undefined ? before.description : change.description || null;
  const [embedded] = mergeInto === undefined ? await embedLabels(deps, classifier, [{ name: after, description }]) : [];
  const { version, labels } = unwrap(
    await deps.classifier(id).updateLabel(name, {
      ...(change.name === undefined ? {} : { name: change.name }),
      ...(change.description === undefined ? {} : { description }),
      ...(embedded?.embedding ? { embedding: embedded.embedding } : {}),
      ...(mergeInto === undefined ? {} : { mergeInto }),
    }),
    { conflict: 'name', unknown_label: 'merge_into' },
  );
  deps.heads.forget(id);
  const now = labels.find((label) => label.name === after);
  if (!now) throw new Error(`the label "${after}" is gone after its change`);
  return { object: 'classifier.label', name: now.name, description: now.description, examples: now.examples, version };
}

/** Deletes a label with its examples and their originals. */
export async function deleteLabel(deps: Needs, tenant: string, id: string, name: string): Promise<z.infer<typeof DeletedLabel>> {
  await loadClassifier(deps, tenant, id);
  const object = deps.classifier(id);
  const { version } = await removeWithOriginals(deps, tenant, await object.originals(name), async () => {
    const removed = unwrap(await object.deleteLabel(name));
    deps.heads.forget(id);
    return removed;
  });
  return { object: 'classifier.label', name, deleted: true, version };
}
