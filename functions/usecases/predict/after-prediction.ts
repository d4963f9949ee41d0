/** What happens once predictions were answered: nothing here is awaited by the caller, and nothing here can fail a prediction. */
import type { Deps } from '../../deps.ts';
import { keepForReview } from '../review/keep-for-review.ts';
import { recordPredictions } from '../usage/record-predictions.ts';
import type { Answered } from './predict.ts';

type Needs = Pick<Deps, 'db' | 'now' | 'newId' | 'classifier' | 'objects'>;

/** @param background `waitUntil` of the request */
export function afterPredictions(deps: Needs, tenant: string, answered: readonly Answered[], background: (work: Promise<unknown>) => void): void {
  recordPredictions(deps, tenant, answered.length, background);
  background(lookBack(deps, answered));
}

async function lookBack(deps: Needs, answered: readonly Answered[]): Promise<void> {
  // The answer leaves first.
  await new Promise((resolve) => setTimeout(resolve, 0));
  for (const group of Map.groupBy(answered, (one) => one.classifier.id).values()) {
    const { classifier } = group[0]!;
    try {
      await keepForReview(deps, classifier, group);
    } catch (error) {
      console.warn(JSON.stringify({ message: 'predictions could not be kept for review', classifier: classifier.id, error: String(error) }));
    }
  }
}
