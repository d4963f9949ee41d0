/** Deleting an example with everything that was solved from it. */
import type { Pending, Recipe } from './records.ts';
import { deleteBlob } from './tables.ts';

/** Where a row of a dataset comes from, as its example's external id. */
export const rowName = (datasetId: string, row: number): string => `${datasetId}#${row}`;

/** The other way round; null for a name of the caller's own. */
export function rowOf(name: string): { dataset: string; row: number } | null {
  const [, dataset, row] = /^(.+)#(\d+)$/.exec(name) ?? [];
  return dataset === undefined ? null : { dataset, row: Number(row) };
}

/** Removes the example and every head that ever saw it; those versions are solved again, without it, when somebody asks for them. */
export function forgetExample(sql: SqlStorage, id: string): void {
  const first = sql.exec<{ n: number | null }>('SELECT min(since) AS n FROM memberships WHERE example_id = ?', id).one().n;
  const [row] = sql.exec<{ name: string }>("SELECT external_id AS name FROM examples WHERE id = ? AND source = 'dataset'", id).toArray();
  sql.exec('DELETE FROM examples WHERE id = ?', id);
  sql.exec('DELETE FROM earlier_tuned WHERE example_id = ?', id);
  sql.exec('DELETE FROM memberships WHERE example_id = ?', id);
  if (row) forgetRow(sql, row.name);
  if (first === null) return;
  const seen = sql.exec<{ n: number }>('SELECT n FROM versions WHERE n >= ?', first).toArray();
  for (const { n } of seen) deleteBlob(sql, `head:${n}`);
}

/** A refused candidate saw its rows before they were examples, and brings them again whenever it is activated: this one no more. */
function forgetRow(sql: SqlStorage, name: string): void {
  const candidates = sql
    .exec<{ n: number; recipe: string }>("SELECT n, recipe FROM versions WHERE json_extract(recipe, '$.pending') IS NOT NULL")
    .toArray();
  for (const { n, recipe: text } of candidates) {
    const recipe = JSON.parse(text) as Recipe & { readonly pending: Pending };
    const { datasetId, forgotten = [] } = recipe.pending;
    const row = rowOf(name)?.row ?? -1;
    if (name !== rowName(datasetId, row)) continue;
    const pending: Pending = { ...recipe.pending, forgotten: [...forgotten, row] };
    sql.exec('UPDATE versions SET recipe = ? WHERE n = ?', JSON.stringify({ ...recipe, pending }), n);
    deleteBlob(sql, `head:${n}`);
  }
}
