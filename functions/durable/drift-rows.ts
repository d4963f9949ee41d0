/**
 * What predictions are compared with: the examples of the served version. Of an adapted version it is the target inputs by what the version answers for
 * them, because that is what its traffic looks like; labels that it gives to none of them are stood for by their examples. Features of predictions
 * are read about the adapted head's own centre, the mean of its target.
 */
import { decodeHead } from '../../shared/head-file.ts';
import { addedUp, type LabelCounts } from '../domain/label-counts.ts';
import { driftFeature } from '../learning/drift-feature.ts';
import { argmax, backgroundCenter, transformFeature } from '../learning/features.ts';
import { yesOf } from '../learning/multi-label.ts';
import { rawScores } from '../learning/score-head.ts';
import type { Ledger } from './ledger.ts';
import { activeVersion, PLAIN } from './records.ts';
import { servedMembers, thin } from './served-members.ts';
import { readBlob } from './tables.ts';
import { readTarget } from './target-inputs.ts';

export type DriftRows = {
  readonly rows: readonly { readonly group: string; readonly x: Float64Array }[];
  /** How many of each label, as the version saw them. */
  readonly counts: LabelCounts;
};

/** Examples that the reference is made of: more would not make it surer by much. */
const EXAMPLES_MAX = 2_000;

/** @param ledger with its background loaded */
export function driftRows(ledger: Ledger): DriftRows {
  const { transform, dimension, task } = ledger.config();
  const { members } = servedMembers(ledger.sql);
  const groupOf = (labels: readonly string[]): string => (task === 'multi_label' ? '' : labels[0]!);
  const target = targetRows(ledger);
  // An adapted head reads inputs about the mean of its target: there, examples lie about theirs. What the examples standardise has no centre here.
  const about = target.length > 0 && ledger.config().modality !== 'vector' ? members.map((m) => m.base) : ledger.background(PLAIN).base;
  const center = backgroundCenter(about, transform, dimension);
  const answered = new Set(target.map(({ group }) => group));
  const rest = members.filter((m) => !answered.has(groupOf(m.labels)));
  const counts = addedUp([...target, ...rest].flatMap(({ labels }) => labels.map((label) => [label, 1] as const)));
  const examples = thin(rest, EXAMPLES_MAX).map((m) => ({ group: groupOf(m.labels), x: transformFeature(m.base, transform, center) }));
  return { rows: [...target, ...examples], counts };
}

/** None unless the active version is adapted. */
function targetRows(ledger: Ledger): { group: string; labels: readonly string[]; x: Float64Array }[] {
  const { adaptation } = ledger.activeRecipe();
  const file = readBlob(ledger.sql, `head:${activeVersion(ledger.sql)}`);
  const head = adaptation && file ? decodeHead(file) : null;
  const feature = head && driftFeature(head);
  if (!adaptation || !feature) return [];
  const { transform, center } = feature;
  const several = head.task === 'multi_label';
  return readTarget(ledger.sql, adaptation.target).map((e) => {
    const scores = rawScores(head, e);
    const labels = (several ? yesOf(scores) : [argmax(scores)]).map((c) => head.labels[c]!);
    return { group: several ? '' : labels[0]!, labels, x: transformFeature(e.base, transform, center) };
  });
}
