/** Whether the database is as new as the code. */
import { getTableColumns, is, isNull, or, sql } from 'drizzle-orm';
import { SQLiteTable } from 'drizzle-orm/sqlite-core';
import type { Database } from '../db/database.ts';
import * as schema from '../db/schema.ts';
import { causes } from '../domain/for-the-log.ts';

const TABLES = Object.values(schema).filter((table) => is(table, SQLiteTable));

/** What SQLite says of the first table or column that is not there; null when all are. Reads no row. */
export async function missingInSchema(db: Database): Promise<string | null> {
  // In conditions drizzle names columns with their table; alone in quotes, what is no column is a text to SQLite.
  const named = (table: SQLiteTable) => or(...Object.values(getTableColumns(table)).map((column) => isNull(column)));
  const [first, ...rest] = TABLES.map((table) =>
    db
      .select({ one: sql`1` })
      .from(table)
      .where(named(table))
      .limit(0),
  );
  try {
    await db.batch([first!, ...rest]);
    return null;
  } catch (error) {
    const missing = /no such (?:table|column): [\w.]+/.exec(causes(error).map(String).join(' '));
    if (!missing) throw error;
    return missing[0];
  }
}
