/**
 * Watches predictions for drift without a message for each: means and counts add up in this isolate and are handed to the classifier's object after
 * FLUSH_AT predictions or FLUSH_AFTER_MS, whichever comes first. An isolate that dies in between loses that little; the figures are about shares.
 */
import type { Deps } from '../../deps.ts';
import type { Observed } from '../../domain/classifier-object.ts';
import { addToMoments, noMoments, type Moments } from '../../domain/moments.ts';
import { driftFeature } from '../../learning/drift-feature.ts';
import { transformFeature } from '../../learning/features.ts';
import type { StoredClassifier } from '../../stores/classifiers.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Answered } from '../predict/predict.ts';

const FLUSH_AT = 50;
const FLUSH_AFTER_MS = 10_000;
/** 1,472 dimensions take 12 kB each. Beyond this, classifiers are not watched until others were handed in. */
const CLASSIFIERS_MAX = 500;

type Needs = Pick<Deps, 'db' | 'now' | 'newId' | 'classifier' | 'deliveries'>;
type Gathered = { version: number; readonly center: Float32Array; moments: Moments; readonly labels: Map<string, number>; unknown: number };
const gathered = new Map<string, Gathered>();

/**
 * Takes what it needs of the predictions at once (microseconds) and hands it in later.
 * @param answered predictions of one classifier
 */
export function watchDrift(deps: Needs, classifier: StoredClassifier, answered: readonly Answered[]): Promise<void> {
  const began = gather(classifier.id, answered);
  return handIn(deps, classifier, began);
}

async function handIn(deps: Needs, classifier: StoredClassifier, began: boolean): Promise<void> {
  const mine = gathered.get(classifier.id);
  if (!mine) return;
  if (mine.moments.n >= FLUSH_AT) return await flush(deps, classifier, mine);
  // One request waits for all that follow it; should it be ended early, FLUSH_AT hands its predictions in later.
  if (!began) return;
  await new Promise((resolve) => setTimeout(resolve, FLUSH_AFTER_MS));
  await flush(deps, classifier, mine);
}

/** True when these are the first since the last flush. */
function gather(id: string, answered: readonly Answered[]): boolean {
  let mine = gathered.get(id);
  const began = !mine;
  for (const { held, embedded, prediction } of answered) {
    const feature = held.head && driftFeature(held.head);
    const label = prediction.scores[0]?.label;
    if (!feature || label === undefined) continue;
    const x = transformFeature(embedded.base, feature.transform, feature.center);
    // Adapted in between: about another centre, means do not add up. What was gathered before is let go.
    if (mine && !alike(mine.center, feature.center)) mine = undefined;
    if (!mine) {
      if (gathered.size >= CLASSIFIERS_MAX) return false;
      gathered.set(id, (mine = { version: held.version, center: feature.center, moments: noMoments(x.length), labels: new Map(), unknown: 0 }));
    }
    mine.version = held.version;
    mine.moments = addToMoments(mine.moments, x);
    mine.labels.set(label, (mine.labels.get(label) ?? 0) + 1);
    if (prediction.unknown) mine.unknown += 1;
  }
  return began;
}

/** A head of another version has another array with mostly the same values. */
const alike = (a: Float32Array, b: Float32Array): boolean => a === b || (a.length === b.length && a.every((v, i) => v === b[i]));

async function flush(deps: Needs, classifier: StoredClassifier, mine: Gathered): Promise<void> {
  // Somebody else may have handed it in while this request waited.
  if (gathered.get(classifier.id) !== mine) return;
  gathered.delete(classifier.id);
  const object = deps.classifier(classifier.id);
  const observed: Observed = { version: mine.version, moments: mine.moments, labels: Object.fromEntries(mine.labels), unknown: mine.unknown };
  for (const { event, causes, window } of await object.observe(observed)) {
    const data = { object: 'classifier.drift', classifier: classifier.id, version: window.version, causes, drift: window };
    await recordEvent(deps, { tenant: classifier.tenant, type: 'classifier.drift_detected', data }, event);
    await object.settleDrift(event);
  }
}
