/** What happens once predictions were answered: nothing here is awaited by the caller, and nothing here can fail a prediction. */
import type { Deps } from '../../deps.ts';
import { watchDrift } from '../drift/watch-drift.ts';
import { keepForReview } from '../review/keep-for-review.ts';
import { recordPredictions } from '../usage/record-predictions.ts';
import type { Answered } from './predict.ts';
import { forTheLog } from '../../domain/for-the-log.ts';

type Needs = Pick<Deps, 'db' | 'now' | 'newId' | 'classifier' | 'objects' | 'deliveries'>;

/** @param background `waitUntil` of the request */
export function afterPredictions(deps: Needs, tenant: string, answered: readonly Answered[], background: (work: Promise<unknown>) => void): void {
  recordPredictions(deps, tenant, answered.length, background);
  for (const group of Map.groupBy(answered, (one) => one.classifier.id).values()) {
    const { classifier } = group[0]!;
    if (classifier.review) background(keepLater(deps, group).catch(told('predictions could not be kept for review', classifier.id)));
    // It may wait for seconds, and must not hold the inputs meanwhile: what it needs of them it takes before it returns.
    background(watchDrift(deps, classifier, group).catch(told('predictions could not be watched for drift', classifier.id)));
  }
}

/** The answer leaves first: hashing a picture takes longer than sending one. */
async function keepLater(deps: Needs, group: readonly Answered[]): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  await keepForReview(deps, group[0]!.classifier, group);
}

function told(message: string, classifier: string): (error: unknown) => void {
  return (error) => console.warn(JSON.stringify({ message, classifier, error: forTheLog(error) }));
}
