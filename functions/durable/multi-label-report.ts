/** What leaving each example out says about a head that gives several labels: one decision for each pair of example and label. */
import { exactMatches, sigmoidOf } from '../learning/multi-label.ts';
import { PRESENT } from '../learning/score-head.ts';
import type { Solved } from './learn.ts';

const BINS = 10;

/** `right`: examples whose labels were all said, and no other. Reliability is of the probability of each label, not of the surest. */
export function multiLabelFindings({ head, leftOut }: Solved) {
  const k = head.labels.length;
  const table = head.labels.map((label) => ({ label, rows: 0, right: 0, predicted: 0 }));
  const bins = Array.from({ length: BINS }, (_, i) => ({ from: i / BINS, to: (i + 1) / BINS, rows: 0, confidence: 0, accuracy: 0 }));
  const issues: { example_id: string; label: string; suggested: string; probability: number }[] = [];
  for (const [i, own] of leftOut.labelsOf.entries()) {
    for (const c of head.labels.keys()) {
      const p = sigmoidOf(leftOut.scores[i * k + c]!, head.temperature);
      const has = own.includes(c);
      const said = p >= PRESENT;
      if (has) table[c]!.rows++;
      if (said) table[c]!.predicted++;
      if (has && said) table[c]!.right++;
      const bin = bins[Math.min(BINS - 1, Math.floor(p * BINS))]!;
      bin.rows++;
      bin.confidence += p;
      bin.accuracy += has ? 1 : 0;
      if (said && !has)
        issues.push({ example_id: leftOut.ids[i]!, label: own.map((o) => head.labels[o]!).join(', '), suggested: head.labels[c]!, probability: p });
    }
  }
  return { right: exactMatches(leftOut.scores, leftOut.labelsOf, k), table, bins, issues, decisions: leftOut.labelsOf.length * k };
}
