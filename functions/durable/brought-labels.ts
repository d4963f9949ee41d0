/** Labels that nobody asked for by themselves: an example brought them, and the last one to leave takes them along, as if it had never been enrolled. */
import { forgetExample } from './forget.ts';
import * as records from './records.ts';

/** The label of an example, which is new or there already. */
export function addBrought(sql: SqlStorage, label: { name: string; embedding: Float32Array | null }): void {
  const there = sql.exec('SELECT 1 FROM labels WHERE name = ?', label.name).toArray().length > 0;
  records.addLabel(sql, label);
  if (!there) sql.exec('UPDATE labels SET brought = 1 WHERE name = ?', label.name);
}

/** Named or described by somebody, it is no longer there for its examples alone. */
export function keepLabel(sql: SqlStorage, name: string): void {
  sql.exec('UPDATE labels SET brought = 0 WHERE name = ?', name);
}

/** The example, and those of its labels that no other has. */
export function forgetWithLabels(sql: SqlStorage, example: { readonly id: string; readonly labels: readonly string[] }): void {
  forgetExample(sql, example.id);
  const empty = new Set(records.selectLabels(sql).flatMap((label) => (label.examples === 0 ? [label.name] : [])));
  for (const name of example.labels.filter((own) => empty.has(own))) {
    const dropped = sql.exec('DELETE FROM labels WHERE name = ? AND brought = 1 RETURNING name', name).toArray();
    if (dropped.length > 0) sql.exec('DELETE FROM label_vectors WHERE name = ?', name);
  }
}
