/**
 * Conditional inserts for `db.batch`. D1 has no transactions to decide in, but a batch is one, and SQLite's `changes()` tells a statement whether the
 * one directly before it changed a row. (Drizzle's own `db.run(sql…)` cannot go into a D1 batch, hence insert … select.)
 */
import { getTableColumns, is, SQL, sql } from 'drizzle-orm';
import type { SQLiteTable } from 'drizzle-orm/sqlite-core';
import type { Database } from './database.ts';

type Row<T extends SQLiteTable> = { [K in keyof T['$inferInsert']]: T['$inferInsert'][K] | SQL };

/** Inserts `row` if the statement directly before it in the batch changed a row. Values may be SQL expressions. */
export function insertIfChanged<T extends SQLiteTable>(db: Database, table: T, row: Row<T>) {
  return insertWhen(db, table, row, sql`changes() > 0`);
}

/** Inserts `row` if the condition holds. */
function insertWhen<T extends SQLiteTable>(db: Database, table: T, row: Row<T>, condition: SQL) {
  const given = row as Record<string, unknown>;
  const values = Object.entries(getTableColumns(table)).map(([name, column]) => {
    const value = given[name] ?? column.default ?? null;
    return is(value, SQL) ? value : sql`${sql.param(value, column)}`;
  });
  return db.insert(table).select(sql`select ${sql.join(values, sql`, `)} where ${condition}`);
}
