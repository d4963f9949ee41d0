/** Whether the held-out answers of an engine can be judged at all: equal lengths, indices in range, every row once. Pure. */
import type { HeldOut, SeveralHeldOut } from '../../shared/engine.ts';

/** What is wrong, or null. */
export function heldOutFault(heldOut: HeldOut | SeveralHeldOut): string | null {
  const n = heldOut.truth.length;
  if (heldOut.rows.length !== n) return `held_out.rows has ${heldOut.rows.length} entries, held_out.truth ${n}`;
  if (new Set(heldOut.rows).size !== n) return 'held_out.rows names a row twice';
  return 'task' in heldOut ? severalFault(heldOut) : oneFault(heldOut);
}

const WHO = ['candidate', 'incumbent', 'frozen', 'baseline', 'zero_shot', 'scratch', 'source_only'] as const;
const isProbability = (p: number): boolean => p >= 0 && p <= 1 + 1e-6;

function oneFault(heldOut: HeldOut): string | null {
  const n = heldOut.truth.length;
  const labels = heldOut.labels.length;
  if (heldOut.truth.some((label) => label < 0 || label >= labels)) return `held_out.truth has an index outside 0…${labels - 1}`;
  for (const who of WHO) {
    const answers = heldOut[who];
    if (answers === null) continue;
    if (answers.prediction.length !== n || answers.confidence.length !== n)
      return `held_out.${who} has ${answers.prediction.length} predictions and ${answers.confidence.length} confidences for ${n} rows`;
    if (answers.prediction.some((label) => label < -1 || label >= labels)) return `held_out.${who}.prediction has an index outside −1…${labels - 1}`;
    if (!answers.confidence.every(isProbability)) return `held_out.${who}.confidence is not between 0 and 1`;
  }
  return null;
}

function severalFault(heldOut: SeveralHeldOut): string | null {
  const n = heldOut.truth.length;
  const labels = heldOut.labels.length;
  const outside = (least: number) => (own: readonly number[]) => own.some((label) => label < least || label >= labels);
  // −1 may stand for any number of labels that this one does not know.
  const twice = (own: readonly number[]) => new Set(own.filter((label) => label >= 0)).size !== own.filter((label) => label >= 0).length;
  if (heldOut.truth.some(outside(0))) return `held_out.truth has an index outside 0…${labels - 1}`;
  if (heldOut.truth.some(twice)) return 'held_out.truth has a label twice in a row';
  for (const who of WHO) {
    const answers = heldOut[who];
    if (answers === null) continue;
    const { prediction, probability } = answers;
    if (prediction.length !== n || probability.length !== n)
      return `held_out.${who} has ${prediction.length} predictions and ${probability.length} lists of probabilities for ${n} rows`;
    if (prediction.some((said, i) => said.length !== probability[i]!.length))
      return `held_out.${who} has labels without a probability, or the reverse`;
    if (prediction.some(outside(-1))) return `held_out.${who}.prediction has an index outside −1…${labels - 1}`;
    if (prediction.some(twice)) return `held_out.${who}.prediction has a label twice in a row`;
    if (!probability.every((own) => own.every(isProbability))) return `held_out.${who}.probability is not between 0 and 1`;
  }
  return null;
}
