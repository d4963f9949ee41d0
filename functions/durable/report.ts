/** The report of a classifier: what leaving each example out says about the head and about the labels. */
import type { ClassifierConfig, LabelInfo } from '../domain/classifier-object.ts';
import { softmax } from '../learning/calibration.ts';
import { argmax } from '../learning/features.ts';
import { NEAR_DUPLICATE, nearDuplicates } from '../learning/near-duplicates.ts';
import { driftState } from './drift.ts';
import { placedExamples, solveVersion, unitsFor, type Solved } from './learn.ts';
import type { Ledger } from './ledger.ts';
import { multiLabelFindings } from './multi-label-report.ts';
import * as records from './records.ts';
import { refinementState } from './refinement.ts';

const Z95 = 1.959963984540054;
const BINS = 10;
const ISSUES_MAX = 50;

/** Wilson score interval (Wilson 1927) at 95 %. */
export function wilson(right: number, n: number): { low: number; high: number } | null {
  if (n === 0) return null;
  const p = right / n;
  const z2 = Z95 * Z95;
  const middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const half = (Z95 / (1 + z2 / n)) * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n * n));
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/** @param ledger with its background loaded */
export function fullReport(ledger: Ledger, config: ClassifierConfig) {
  const { sql } = ledger;
  const labels = records.selectLabels(sql);
  const recipe = ledger.activeRecipe();
  const names = labels.map((l) => l.name);
  const solved = solveVersion(sql, config, names, recipe, ledger.background(recipe), null);
  const report = makeReport(records.activeVersion(sql), labels, solved);
  return {
    ...report,
    ...duplicates(ledger, config, names, unitsFor(config, ledger.background(recipe), solved?.head.standardisation ?? null)),
    drift: driftState(sql),
    refinement: refinementState(sql),
  };
}

/** Pairs of examples that show the same thing. */
function duplicates(ledger: Ledger, config: ClassifierConfig, names: readonly string[], unitOf: (raw: Float32Array) => Float64Array) {
  const { sql } = ledger;
  const placed = placedExamples(sql, names, null);
  const { pairs, compared } = nearDuplicates(placed, config.dimension, NEAR_DUPLICATE[config.modality], (rows) => {
    const wanted = rows.map((r) => r.id);
    const units = new Map<string, Float64Array>();
    for (const { id, base } of records.eachMember(sql, null, null, wanted)) units.set(id, unitOf(base));
    return wanted.map((id) => units.get(id)!);
  });
  const labelsOf = new Map(placed.map((p) => [p.id, p.labelsOf.map((i) => names[i]!)]));
  return {
    near_duplicates: pairs.slice(0, ISSUES_MAX).map((pair) => {
      const [labels, others] = [labelsOf.get(pair.id)!, labelsOf.get(pair.with)!];
      const conflict = labels.length !== others.length || !labels.every((l) => others.includes(l));
      return { example_id: pair.id, labels, with: pair.with, with_labels: others, similarity: pair.similarity, same_bytes: pair.sameBytes, conflict };
    }),
    near_duplicates_among: compared,
  };
}

function makeReport(version: number, labels: readonly LabelInfo[], solved: Solved | null) {
  const counts = labels.map((l) => l.examples);
  const balance = { smallest: Math.min(...counts, Infinity) === Infinity ? 0 : Math.min(...counts), largest: Math.max(...counts, 0) };
  if (!solved)
    return { object: 'report', version, left_out: null, per_class: [], confusion: [], reliability: [], label_issues: [], balance, evidence: null };
  const { head, leftOut, evidence } = solved;
  const k = head.labels.length;
  let table = head.labels.map((label) => ({ label, rows: 0, right: 0, predicted: 0 }));
  const confusion = new Map<string, number>();
  let bins = Array.from({ length: BINS }, (_, i) => ({ from: i / BINS, to: (i + 1) / BINS, rows: 0, confidence: 0, accuracy: 0 }));
  let issues: { example_id: string; label: string; suggested: string; probability: number }[] = [];
  let right = 0;
  const several = head.task === 'multi_label' ? multiLabelFindings(solved) : null;
  for (const [i, truth] of several ? [] : leftOut.truth.entries()) {
    const p = softmax(leftOut.scores.subarray(i * k, (i + 1) * k), head.temperature);
    const said = argmax(p);
    table[truth]!.rows++;
    table[said]!.predicted++;
    const bin = bins[Math.min(BINS - 1, Math.floor(p[said]! * BINS))]!;
    bin.rows++;
    bin.confidence += p[said]!;
    if (said === truth) {
      right++;
      table[truth]!.right++;
      bin.accuracy++;
      continue;
    }
    const pair = JSON.stringify([head.labels[truth], head.labels[said]]);
    confusion.set(pair, (confusion.get(pair) ?? 0) + 1);
    issues.push({ example_id: leftOut.ids[i]!, label: head.labels[truth]!, suggested: head.labels[said]!, probability: p[said]! });
  }
  if (several) ({ right, table, bins, issues } = several);
  const n = leftOut.truth.length;
  const decisions = several?.decisions ?? n;
  const filled = bins.filter((b) => b.rows > 0).map((b) => ({ ...b, confidence: b.confidence / b.rows, accuracy: b.accuracy / b.rows }));
  const ece = filled.reduce((sum, b) => sum + (b.rows / decisions) * Math.abs(b.confidence - b.accuracy), 0);
  return {
    object: 'report',
    version,
    left_out: n === 0 ? null : { rows: n, accuracy: right / n, interval: wilson(right, n), expected_calibration_error: ece },
    per_class: table.map((t) => ({
      label: t.label,
      rows: t.rows,
      recall: t.rows > 0 ? t.right / t.rows : null,
      precision: t.predicted > 0 ? t.right / t.predicted : null,
    })),
    confusion: [...confusion].map(([pair, count]) => {
      const [truth, predicted] = JSON.parse(pair) as [string, string];
      return { truth, predicted, count };
    }),
    reliability: filled,
    label_issues: issues.toSorted((a, b) => b.probability - a.probability).slice(0, ISSUES_MAX),
    balance,
    evidence,
  };
}
