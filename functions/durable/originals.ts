/** Which objects hold the originals of a classifier: asked before what names them is deleted, so that a deletion that was cut off can be repeated. */
import { selectExamples } from './records.ts';
import { listReview } from './review-queue.ts';

const ALL = { limit: Number.MAX_SAFE_INTEGER, after: null } as const;

/** Of the examples that would go with this label, having no other; null: of everything, what waits for review included. */
export function originalsOf(sql: SqlStorage, label: string | null): string[] {
  const examples = selectExamples(sql, { ...ALL, label });
  const going = label === null ? [...examples, ...listReview(sql, ALL)] : examples.filter(({ labels }) => labels.every((own) => own === label));
  return going.flatMap(({ objectKey }) => objectKey ?? []);
}
