/** Renaming, merging and deleting labels, and giving examples others: examples follow, and a new version is solved. */
import type { ExampleInfo, Failure, LabelInfo, Outcome } from '../domain/classifier-object.ts';
import { keepLabel } from './brought-labels.ts';
import { forgetExample } from './forget.ts';
import type { Ledger } from './ledger.ts';
import * as records from './records.ts';

const failure = (code: Failure['code'], detail: string): Failure => ({ ok: false, code, detail });

export type LabelChange = { name?: string; description?: string | null; embedding?: Float32Array | null; mergeInto?: string };

export function updateLabel(ledger: Ledger, name: string, change: LabelChange): Outcome<{ version: number; labels: LabelInfo[] }> {
  const { sql } = ledger;
  const labels = records.selectLabels(sql);
  if (!labels.some((l) => l.name === name)) return failure('not_found', `This classifier has no label "${name}".`);
  const target = change.mergeInto ?? change.name;
  const exists = labels.some((l) => l.name === target);
  if (change.mergeInto !== undefined && (!exists || target === name))
    return failure('unknown_label', `There is no other label "${target}" to merge into.`);
  if (change.mergeInto === undefined && target !== undefined && target !== name && exists)
    return failure('conflict', `There is a label "${target}" already; use merge_into to join them.`);
  keepLabel(sql, name);
  if (change.description !== undefined) sql.exec('UPDATE labels SET description = ? WHERE name = ?', change.description, name);
  if (target !== undefined && target !== name) {
    moveExamples(sql, name, target);
    if (change.mergeInto === undefined) sql.exec('UPDATE labels SET name = ? WHERE name = ?', target, name);
    else sql.exec('DELETE FROM labels WHERE name = ?', name);
  }
  if (change.embedding) records.addLabel(sql, { name: target ?? name, embedding: change.embedding });
  const { version } = ledger.solveNext(ledger.activeRecipe());
  return { ok: true, value: { version, labels: records.selectLabels(sql) } };
}

/** The labels must be there already. */
export function relabelExample(ledger: Ledger, id: string, labels: readonly string[]): Outcome<{ version: number; example: ExampleInfo }> {
  const { sql } = ledger;
  if (!records.selectExample(sql, id)) return failure('not_found', `There is no example ${id}.`);
  const known = new Set(records.selectLabels(sql).map((l) => l.name));
  const missing = labels.find((l) => !known.has(l));
  if (missing !== undefined) return failure('unknown_label', `This classifier has no label "${missing}". It has: ${[...known].join(', ')}.`);
  records.assignLabels(sql, id, labels, records.latestVersion(sql) + 1);
  const { version } = ledger.solveNext(ledger.activeRecipe());
  return { ok: true, value: { version, example: records.selectExample(sql, id)! } };
}

/** Examples with no other label go with it; `objectKeys` are their originals, for the caller to remove. */
export function deleteLabel(ledger: Ledger, name: string): Outcome<{ version: number; objectKeys: string[] }> {
  const { sql } = ledger;
  if (!records.selectLabels(sql).some((l) => l.name === name)) return failure('not_found', `This classifier has no label "${name}".`);
  const objectKeys: string[] = [];
  const since = records.latestVersion(sql) + 1;
  for (const e of records.selectExamples(sql, { limit: Number.MAX_SAFE_INTEGER, after: null, label: name })) {
    const rest = e.labels.filter((l) => l !== name);
    if (rest.length > 0) records.assignLabels(sql, e.id, rest, since);
    else {
      forgetExample(sql, e.id);
      if (e.objectKey) objectKeys.push(e.objectKey);
    }
  }
  sql.exec('DELETE FROM labels WHERE name = ?', name);
  sql.exec('DELETE FROM label_vectors WHERE name = ?', name);
  return { ok: true, value: { version: ledger.solveNext(ledger.activeRecipe()).version, objectKeys } };
}

function moveExamples(sql: SqlStorage, from: string, to: string): void {
  const since = records.latestVersion(sql) + 1;
  for (const e of records.selectExamples(sql, { limit: Number.MAX_SAFE_INTEGER, after: null, label: from }))
    records.assignLabels(sql, e.id, [...new Set(e.labels.map((l) => (l === from ? to : l)))], since);
}
