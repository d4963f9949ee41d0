/** Storage of one classifier object (SQLite inside the object). Documented in docs/storage.md; numbered steps, applied once each. */

const STEPS = [
  `CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
   CREATE TABLE labels (name TEXT PRIMARY KEY, description TEXT, position INTEGER NOT NULL);
   CREATE TABLE label_vectors (name TEXT PRIMARY KEY, embedding BLOB NOT NULL);
   CREATE TABLE examples (id TEXT PRIMARY KEY, base BLOB NOT NULL, tuned BLOB, tuned_model TEXT, source TEXT NOT NULL, sha256 TEXT NOT NULL,
     content_type TEXT, object_key TEXT, external_id TEXT, created_at INTEGER NOT NULL);
   CREATE INDEX examples_sha256 ON examples (sha256);
   CREATE TABLE memberships (example_id TEXT NOT NULL, since INTEGER NOT NULL, labels TEXT NOT NULL, PRIMARY KEY (example_id, since));
   CREATE TABLE versions (n INTEGER PRIMARY KEY, kind TEXT NOT NULL, labels TEXT NOT NULL, recipe TEXT NOT NULL, evidence TEXT NOT NULL,
     parent INTEGER, job TEXT UNIQUE, created_at INTEGER NOT NULL);
   CREATE TABLE blobs (key TEXT NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (key, part));`,
  `CREATE TABLE review (id TEXT PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, base BLOB NOT NULL, tuned BLOB, tuned_model TEXT, content_type TEXT,
     object_key TEXT, prediction TEXT NOT NULL, created_at INTEGER NOT NULL);`,
  // examples.tuned is what the model trained last saw; this is what those before it did, for versions that run on them.
  `CREATE TABLE earlier_tuned (example_id TEXT NOT NULL, model TEXT NOT NULL, embedding BLOB NOT NULL, PRIMARY KEY (example_id, model));`,
  // 1: nobody asked for this label; an example brought it, and the last one to leave takes it along.
  'ALTER TABLE labels ADD COLUMN brought INTEGER NOT NULL DEFAULT 0',
] as const;

/** Rows of SQLite in a Durable Object hold at most 2 MB. */
const PART_BYTES = 1_000_000;

export function migrate(storage: DurableObjectStorage): void {
  storage.transactionSync(() => {
    storage.sql.exec('CREATE TABLE IF NOT EXISTS steps (n INTEGER PRIMARY KEY)');
    const done = storage.sql.exec<{ n: number }>('SELECT count(*) AS n FROM steps').one().n;
    for (const [i, step] of STEPS.entries()) {
      if (i < done) continue;
      storage.sql.exec(step);
      storage.sql.exec('INSERT INTO steps (n) VALUES (?)', i + 1);
    }
  });
}

export function readMeta(sql: SqlStorage, key: string): string | null {
  const [row] = sql.exec<{ value: string }>('SELECT value FROM meta WHERE key = ?', key).toArray();
  return row?.value ?? null;
}

export function writeMeta(sql: SqlStorage, key: string, value: string): void {
  sql.exec('INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value', key, value);
}

export function writeBlob(sql: SqlStorage, key: string, bytes: Uint8Array): void {
  deleteBlob(sql, key);
  for (let at = 0, part = 0; at < bytes.length; at += PART_BYTES, part++)
    sql.exec('INSERT INTO blobs (key, part, bytes) VALUES (?, ?, ?)', key, part, toBuffer(bytes.subarray(at, at + PART_BYTES)));
}

export function readBlob(sql: SqlStorage, key: string): Uint8Array | null {
  const parts = sql.exec<{ bytes: ArrayBuffer }>('SELECT bytes FROM blobs WHERE key = ? ORDER BY part', key).toArray();
  if (parts.length === 0) return null;
  const out = new Uint8Array(parts.reduce((sum, p) => sum + p.bytes.byteLength, 0));
  let at = 0;
  for (const p of parts) {
    out.set(new Uint8Array(p.bytes), at);
    at += p.bytes.byteLength;
  }
  return out;
}

export function deleteBlob(sql: SqlStorage, key: string): void {
  sql.exec('DELETE FROM blobs WHERE key = ?', key);
}

/** An exact copy of a view's bytes, as SQLite wants them. */
export function toBuffer(view: Uint8Array | Float32Array | Float64Array): ArrayBuffer {
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer;
}
