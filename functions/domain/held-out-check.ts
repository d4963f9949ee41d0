/** Whether the held-out answers of an engine can be judged at all: equal lengths, indices in range, every row once. Pure. */
import type { HeldOut } from '../../shared/engine.ts';

/** What is wrong, or null. */
export function heldOutFault(heldOut: HeldOut): string | null {
  const n = heldOut.truth.length;
  const labels = heldOut.labels.length;
  if (heldOut.rows.length !== n) return `held_out.rows has ${heldOut.rows.length} entries, held_out.truth ${n}`;
  if (new Set(heldOut.rows).size !== n) return 'held_out.rows names a row twice';
  if (heldOut.truth.some((label) => label < 0 || label >= labels)) return `held_out.truth has an index outside 0…${labels - 1}`;
  for (const who of ['candidate', 'incumbent', 'frozen', 'baseline', 'zero_shot', 'scratch', 'source_only'] as const) {
    const answers = heldOut[who];
    if (answers === null) continue;
    if (answers.prediction.length !== n || answers.confidence.length !== n)
      return `held_out.${who} has ${answers.prediction.length} predictions and ${answers.confidence.length} confidences for ${n} rows`;
    if (answers.prediction.some((label) => label < -1 || label >= labels)) return `held_out.${who}.prediction has an index outside −1…${labels - 1}`;
    if (answers.confidence.some((c) => !(c >= 0 && c <= 1 + 1e-6))) return `held_out.${who}.confidence is not between 0 and 1`;
  }
  return null;
}
