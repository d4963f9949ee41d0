/** Reads the review queue, and takes items off it: as an example, or for good. */
import { exampleOfReviewItem, idPattern } from '../../../shared/ids.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import type { EnrollAnswer, UpdateExample } from '../../../shared/wire/examples.ts';
import type { ReviewItem } from '../../../shared/wire/review.ts';
import type { Deps } from '../../deps.ts';
import type { ReviewItemInfo } from '../../domain/classifier-object.ts';
import { readText, type Input } from '../../domain/read-input.ts';
import type { StoredClassifier } from '../../stores/classifiers.ts';
import { addUsage } from '../../stores/usage.ts';
import { embedLabels } from '../classifiers/embed-labels.ts';
import { describeClassifier, loadClassifier } from '../classifiers/load-classifier.ts';
import { unwrap } from '../classifiers/unwrap.ts';
import { newLabelsAmong, refuseSeveralLabels } from '../examples/new-labels.ts';
import { forgetOriginals } from '../examples/originals.ts';
import { embedInput } from '../predict/embed-input.ts';

/** Long enough to look through a page of pictures. */
const ORIGINAL_URL_TTL_SECONDS = 900;

export async function listReview(
  deps: Pick<Deps, 'db' | 'classifier' | 'objects'>,
  tenant: string,
  id: string,
  page: { limit: number; after: string | null },
): Promise<{ data: ReviewItem[]; hasMore: boolean }> {
  await loadClassifier(deps, tenant, id);
  const { data, hasMore } = await deps.classifier(id).listReview(page);
  return { data: await Promise.all(data.map(async (info) => await toItem(deps, id, info))), hasMore };
}

async function toItem(deps: Pick<Deps, 'objects'>, classifier: string, info: ReviewItemInfo): Promise<ReviewItem> {
  const url = info.objectKey === null ? null : await deps.objects.presignGet(info.objectKey, { ttlSeconds: ORIGINAL_URL_TTL_SECONDS });
  return {
    object: 'review_item',
    id: info.id,
    classifier,
    prediction: info.prediction,
    sha256: info.sha256,
    content_type: info.contentType,
    original_url: url,
    created_at: new Date(info.createdAt).toISOString(),
  };
}

/** The item becomes an example of these labels, which may be new, exactly once: a `conflict` says that it did before. */
export async function enrollReviewed(
  deps: Pick<Deps, 'db' | 'now' | 'classifier' | 'objects' | 'encoder' | 'labelVectors' | 'heads'>,
  tenant: string,
  id: string,
  item: string,
  said: UpdateExample,
): Promise<EnrollAnswer> {
  const classifier = await loadClassifier(deps, tenant, id);
  const labels = [...new Set(said.labels ?? (said.label === undefined ? [] : [said.label]))];
  refuseSeveralLabels(classifier, labels);
  const { labels: existing, model } = await describeClassifier(deps, classifier);
  const newLabels = await embedLabels(deps, classifier, newLabelsAmong(existing, labels));
  const tuned = await tunedNow(deps, classifier, item, model);
  const { version, exampleId, warnings } = unwrap(await deps.classifier(id).enrollReviewed(item, { labels, tuned }, newLabels));
  deps.heads.forget(id);
  await addUsage(deps.db, tenant, 'enrollments', 1, deps.now());
  return {
    object: 'list',
    version,
    data: [{ object: 'example', id: exampleId, label: labels[0] ?? '', labels, external_id: null, warnings }],
  };
}

/** A fine-tuned model that came after the prediction sees the original once more; otherwise the embedding that was kept serves (null). */
async function tunedNow(
  deps: Pick<Deps, 'classifier' | 'objects' | 'encoder'>,
  classifier: StoredClassifier,
  item: string,
  model: string | null,
): Promise<{ model: string; embedding: Float32Array } | null> {
  if (model === null) return null;
  const info = await deps.classifier(classifier.id).getReviewItem(item);
  if (!info || info.tunedModel === model || info.objectKey === null) return null;
  const bytes = await deps.objects.get(info.objectKey);
  if (!bytes) return null;
  const input: Input = classifier.modality === 'text' ? readText(bytes) : { kind: 'image', bytes };
  const { tuned } = await embedInput(deps, input, classifier, model);
  return tuned && { model, embedding: tuned };
}

/**
 * Drops an item. The queue decides first, because somebody else may be making an example of it, and then the original must stay. Of one that is gone already,
 * and no example, the original is deleted again before it is said so: the storage may not have answered the first time.
 */
export async function dropReviewItem(
  deps: Pick<Deps, 'db' | 'now' | 'classifier' | 'objects'>,
  tenant: string,
  id: string,
  item: string,
): Promise<void> {
  await loadClassifier(deps, tenant, id);
  const object = deps.classifier(id);
  const dropped = await object.dropReviewItem(item);
  if (!dropped.ok && idPattern('review').test(item) && !(await object.getExample(exampleOfReviewItem(item))))
    await forgetOriginals(deps, tenant, [objectKeys.reviewItem(tenant, id, item)]);
  const { objectKey } = unwrap(dropped);
  if (objectKey !== null) await forgetOriginals(deps, tenant, [objectKey]);
}
