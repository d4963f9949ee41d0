/**
 * Enrolls examples, all or none: everything is read, decoded and embedded before anything is stored; originals go to object storage before the
 * Durable Object knows of them, so an example never points at nothing.
 */
import { GraftError } from '../../../shared/errors.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import type { EnrollAnswer } from '../../../shared/wire/examples.ts';
import type { Deps } from '../../deps.ts';
import type { NewExample } from '../../domain/classifier-object.ts';
import { sha256Hex } from '../../domain/digests.ts';
import { originalOf } from '../../domain/original.ts';
import type { Input } from '../../domain/read-input.ts';
import type { StoredClassifier } from '../../stores/classifiers.ts';
import { addUsage } from '../../stores/usage.ts';
import { embedLabels } from '../classifiers/embed-labels.ts';
import { describeClassifier } from '../classifiers/load-classifier.ts';
import { unwrap } from '../classifiers/unwrap.ts';
import { eachInput } from '../predict/each-input.ts';
import { embedInput } from '../predict/embed-input.ts';
import { newLabelsAmong, refuseSeveralLabels } from './new-labels.ts';
import { keepOriginals, type Original } from './originals.ts';

type Needs = Pick<Deps, 'db' | 'newId' | 'now' | 'classifier' | 'objects' | 'encoder' | 'labelVectors' | 'heads'>;

export type ToEnroll = {
  readonly labels: readonly string[];
  readonly externalId: string | null;
  /** Reads the input; may throw a GraftError whose `param` is the field. */
  readonly read: () => Input;
};

/** @param at JSON pointer of an item */
export async function enrollExamples(
  deps: Needs,
  classifier: StoredClassifier,
  items: readonly ToEnroll[],
  at: (index: number) => string,
): Promise<EnrollAnswer> {
  const { labels: existing, model } = await describeClassifier(deps, classifier);
  const named = newLabelsAmong(
    existing,
    items.flatMap((item) => item.labels),
  );
  // Ids sort by time and then at random: those of one call are made beforehand and sorted, so that its examples are listed in the order given.
  const ids = items.map(() => deps.newId('example')).toSorted();
  const numbered = items.map((item, i) => ({ item, id: ids[i]! }));
  const read = await eachInput(numbered, at, async ({ item, id }) => await prepare(deps, classifier, model, item, id));
  const newLabels = await embedLabels(deps, classifier, named);

  const originals = read.flatMap(({ original }) => (original ? [original] : []));
  await keepOriginals(deps, originals);
  const examples = read.map(({ example }) => example);
  let taken: { version: number; warnings: { code: string; example_id?: string; detail: string }[][] };
  try {
    taken = unwrap(await deps.classifier(classifier.id).enroll(examples, newLabels));
  } catch (error) {
    // A refusal stored nothing. Any other failure may have happened after the append: then the originals must stay.
    if (error instanceof GraftError) await deps.objects.delete(originals.map((o) => o.key));
    throw error;
  } finally {
    deps.heads.forget(classifier.id);
  }
  await count(deps, classifier.tenant, examples.length, originals);
  return {
    object: 'list',
    version: taken.version,
    data: examples.map((example, i) => ({
      object: 'example',
      id: example.id,
      label: example.labels[0] ?? '',
      labels: [...example.labels],
      external_id: example.externalId,
      warnings: taken.warnings[i] ?? [],
    })),
  };
}

async function prepare(
  deps: Needs,
  classifier: StoredClassifier,
  model: string | null,
  item: ToEnroll,
  id: string,
): Promise<{ example: NewExample; original: Original | null }> {
  refuseSeveralLabels(classifier, item.labels);
  const input = item.read();
  const embedded = await embedInput(deps, input, classifier, model);
  const { bytes, contentType } = originalOf(input);
  const key = contentType === null ? null : objectKeys.example(classifier.tenant, classifier.id, id);
  return {
    example: {
      id,
      labels: [...new Set(item.labels)],
      base: embedded.base,
      tuned: model !== null && embedded.tuned ? { model, embedding: embedded.tuned } : null,
      sha256: await sha256Hex(bytes),
      contentType,
      objectKey: key,
      externalId: item.externalId,
    },
    original: key !== null && contentType !== null ? { key, bytes, contentType } : null,
  };
}

async function count(deps: Needs, tenant: string, examples: number, originals: readonly Original[]): Promise<void> {
  const bytes = originals.reduce((sum, o) => sum + o.bytes.byteLength, 0);
  const now = deps.now();
  await deps.db.batch([addUsage(deps.db, tenant, 'enrollments', examples, now), addUsage(deps.db, tenant, 'stored_bytes', bytes, now)]);
}
