/** D1 is migrated before the Worker is deployed: rows of older code stay, and older code, which still runs then, goes on writing. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';

const folder = path.join(import.meta.dirname, '../../functions/db/migrations');
const files = readdirSync(folder)
  .filter((file) => file.endsWith('.sql'))
  .toSorted();
const apply = (db: DatabaseSync, file: string) => db.exec(readFileSync(path.join(folder, file), 'utf8').replaceAll('--> statement-breakpoint', ''));
type Column = { name: string; type: string };

it.each(files.slice(0, -1))('a database as it was after %s', (last) => {
  const db = new DatabaseSync(':memory:', { enableForeignKeyConstraints: false });
  for (const file of files.filter((one) => one <= last)) apply(db, file);
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'").all() as { name: string }[];
  const writes = tables.map(({ name }) => {
    const columns = db.prepare(`PRAGMA table_info(${name})`).all() as Column[];
    const statement = `INSERT INTO ${name} (${columns.map((c) => `"${c.name}"`).join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`;
    return { name, columns, write: (n: number) => db.prepare(statement).run(...columns.map((c) => (c.type === 'text' ? `row ${n}` : n))) };
  });
  for (const { write } of writes) write(1);
  const before = writes.map(({ name }) => db.prepare(`SELECT * FROM ${name}`).get());
  for (const file of files.filter((one) => one > last)) apply(db, file);
  for (const { write } of writes) write(2);
  for (const [i, { name }] of writes.entries()) {
    const rows = db.prepare(`SELECT * FROM ${name} ORDER BY 1`).all();
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatchObject({ ...before[i] });
  }
  db.close();
});
