/**
 * Keeps doubtful predictions with their inputs, after they were answered. The original is stored before the queue knows of it, so an item never points
 * at nothing; what the queue did not want after all is removed again.
 */
import { objectKeys } from '../../../shared/object-keys.ts';
import type { ReviewRule } from '../../../shared/wire/review.ts';
import type { Prediction } from '../../../shared/wire/predictions.ts';
import type { Deps } from '../../deps.ts';
import type { NewReviewItem } from '../../domain/classifier-object.ts';
import { sha256Hex } from '../../domain/digests.ts';
import { originalOf } from '../../domain/original.ts';
import type { StoredClassifier } from '../../stores/classifiers.ts';
import { addUsage } from '../../stores/usage.ts';
import { forgetOriginals, keepOriginals, type Original } from '../examples/originals.ts';
import type { Answered } from '../predict/predict.ts';

/** A reviewer needs the likeliest labels, not all thousand. */
const SCORES_KEPT = 5;

type Needs = Pick<Deps, 'db' | 'now' | 'newId' | 'classifier' | 'objects'>;
type Candidate = { readonly item: NewReviewItem; readonly original: Original | null };

/** Whether a person should look at it. */
export function isDoubtful(rule: ReviewRule, prediction: Pick<Prediction, 'unknown' | 'confidence'>): boolean {
  return prediction.unknown || prediction.confidence < rule.below_confidence;
}

/** Whether an input is in the sample. By its digest: repeating an input gives it no second chance. */
export function isSampled(rule: ReviewRule, sha256: string): boolean {
  return Number.parseInt(sha256.slice(0, 8), 16) / 2 ** 32 < rule.sample_rate;
}

/** @param answered predictions of one classifier */
export async function keepForReview(deps: Needs, classifier: StoredClassifier, answered: readonly Answered[]): Promise<void> {
  const rule = classifier.review;
  if (!rule) return;
  const candidates = new Map<string, Candidate>();
  for (const one of answered) {
    if (!isDoubtful(rule, one.prediction)) continue;
    const candidate = await prepare(deps, classifier, one);
    if (isSampled(rule, candidate.item.sha256)) candidates.set(candidate.item.sha256, candidate);
  }
  if (candidates.size === 0) return;
  const object = deps.classifier(classifier.id);
  const wanted = (await object.newToReview([...candidates.keys()])).map((sha256) => candidates.get(sha256)!);
  if (wanted.length === 0) return;
  const originals = wanted.flatMap(({ original }) => (original ? [original] : []));
  await keepOriginals(deps, originals);
  const { kept, droppedKeys } = await object.keepForReview(
    wanted.map(({ item }) => item),
    rule.max_items,
  );
  const there = new Set(kept);
  const [stay, go] = [wanted.filter(({ item }) => there.has(item.id)), wanted.filter(({ item }) => !there.has(item.id))];
  const bytes = stay.reduce((sum, { original }) => sum + (original?.bytes.byteLength ?? 0), 0);
  if (bytes > 0) await addUsage(deps.db, classifier.tenant, 'stored_bytes', bytes, deps.now());
  await deps.objects.delete(go.flatMap(({ original }) => (original ? [original.key] : [])));
  await forgetOriginals(deps, classifier.tenant, droppedKeys);
}

/** Drops what waits beyond `max`, the oldest first. */
export async function dropOldest(
  deps: Pick<Deps, 'db' | 'now' | 'classifier' | 'objects'>,
  classifier: Pick<StoredClassifier, 'id' | 'tenant'>,
  max: number,
): Promise<void> {
  const { droppedKeys } = await deps.classifier(classifier.id).keepForReview([], max);
  await forgetOriginals(deps, classifier.tenant, droppedKeys);
}

async function prepare(deps: Needs, classifier: StoredClassifier, { held, input, embedded, prediction }: Answered): Promise<Candidate> {
  const id = deps.newId('review');
  const { bytes, contentType } = originalOf(input);
  const key = contentType === null ? null : objectKeys.reviewItem(classifier.tenant, classifier.id, id);
  const { version, label, unknown, confidence, scores, nearest } = prediction;
  return {
    item: {
      id,
      base: embedded.base,
      tuned: held.model !== null && embedded.tuned ? { model: held.model, embedding: embedded.tuned } : null,
      sha256: await sha256Hex(bytes),
      contentType,
      objectKey: key,
      prediction: { version, label, unknown, confidence, scores: scores.slice(0, SCORES_KEPT), nearest },
    },
    original: key !== null && contentType !== null ? { key, bytes, contentType } : null,
  };
}
