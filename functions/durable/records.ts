/** Reads and writes of examples, labels and versions: one function, one statement or transition. All synchronous, inside the object. */
import type { ClassifierConfig, ExampleInfo, LabelInfo, NewExample, VersionInfo } from '../domain/classifier-object.ts';
import type { AdaptMix } from '../learning/adaptation/solve-adapted.ts';
import { readMeta, toBuffer, writeMeta } from './tables.ts';

export type Pending = {
  readonly embeddingsKey: string;
  readonly datasetId: string;
  readonly enrolledIds: readonly string[];
  /** Rows of the dataset that were deleted since (forget.ts). */
  readonly forgotten?: readonly number[];
};

/** How a version's head is solved: on which tail, with which weight. `null` model: the plain base backbone. */
export type Recipe = {
  readonly model: string | null;
  readonly tunedMix: number;
  readonly temperature: number | null;
  /** Trained, but its training rows are not among the examples (it was refused): where they are. */
  readonly pending: Pending | null;
  /** Adapted: to which target inputs (see target-inputs.ts) and by which methods. Versions that build on it keep it. */
  readonly adaptation?: { readonly target: string; readonly mix: AdaptMix };
};
export const PLAIN: Recipe = { model: null, tunedMix: 0, temperature: null, pending: null };

export type Member = {
  readonly id: string;
  readonly labels: readonly string[];
  readonly base: Float32Array;
  readonly tuned: Float32Array | null;
  readonly sha256: string;
};

type ExampleRow = {
  id: string;
  labels: string;
  source: 'enrolled' | 'dataset';
  sha256: string;
  content_type: string | null;
  object_key: string | null;
  external_id: string | null;
  created_at: number;
};
type VersionRow = {
  n: number;
  kind: VersionInfo['kind'];
  labels: string;
  recipe: string;
  evidence: string;
  parent: number | null;
  created_at: number;
};

/** What a version was solved from: labels as they were at `upTo`, and rows that began with one of the versions `brought` (served-members.ts). */
export type Seen = { readonly upTo: number; readonly brought: readonly number[] };

const LATEST = `SELECT example_id, max(since) AS since FROM memberships WHERE since <= ? OR since IN (SELECT value FROM json_each(?))
  GROUP BY example_id`;
/** What one model, or none, saw of an example. */
const TUNED = `CASE WHEN e.tuned_model = ? THEN e.tuned
  ELSE (SELECT t.embedding FROM earlier_tuned t WHERE t.example_id = e.id AND t.model = ?) END`;
const bound = (seen: Seen | null): [number, string] => [seen?.upTo ?? Number.MAX_SAFE_INTEGER, JSON.stringify(seen?.brought ?? [])];
const EXAMPLE_COLUMNS = 'e.id, m.labels, e.source, e.sha256, e.content_type, e.object_key, e.external_id, e.created_at';

export const readConfig = (sql: SqlStorage): ClassifierConfig | null => {
  const text = readMeta(sql, 'config');
  return text === null ? null : (JSON.parse(text) as ClassifierConfig);
};
export const writeConfig = (sql: SqlStorage, config: ClassifierConfig): void => writeMeta(sql, 'config', JSON.stringify(config));
export const activeVersion = (sql: SqlStorage): number => Number(readMeta(sql, 'active') ?? 0);
export const latestVersion = (sql: SqlStorage): number => sql.exec<{ n: number | null }>('SELECT max(n) AS n FROM versions').one().n ?? 0;

function toInfo(r: ExampleRow): ExampleInfo {
  return {
    id: r.id,
    labels: JSON.parse(r.labels) as string[],
    source: r.source,
    sha256: r.sha256,
    contentType: r.content_type,
    objectKey: r.object_key,
    externalId: r.external_id,
    createdAt: r.created_at,
  };
}

export function selectExamples(sql: SqlStorage, page: { limit: number; after: string | null; label: string | null }): ExampleInfo[] {
  return sql
    .exec<ExampleRow>(
      `SELECT ${EXAMPLE_COLUMNS} FROM examples e JOIN memberships m ON m.example_id = e.id
       WHERE m.since = (SELECT max(since) FROM memberships WHERE example_id = e.id) AND e.id > ?
         AND (? IS NULL OR EXISTS (SELECT 1 FROM json_each(m.labels) WHERE value = ?)) ORDER BY e.id LIMIT ?`,
      page.after ?? '',
      page.label,
      page.label,
      page.limit,
    )
    .toArray()
    .map(toInfo);
}

export function selectExample(sql: SqlStorage, id: string): ExampleInfo | null {
  const [row] = sql
    .exec<ExampleRow>(
      `SELECT ${EXAMPLE_COLUMNS} FROM examples e JOIN memberships m ON m.example_id = e.id WHERE e.id = ? ORDER BY m.since DESC LIMIT 1`,
      id,
    )
    .toArray();
  return row ? toInfo(row) : null;
}

type MemberRow = { id: string; labels: string; base: ArrayBuffer; tuned: ArrayBuffer | null; sha256: string };

/**
 * Examples as a version saw them (null: as they are now), one at a time, ordered by id so that solving is reproducible: ten thousand embeddings do not
 * fit beside each other in an isolate.
 * @param only ids; all when null
 */
export function* eachMember(sql: SqlStorage, seen: Seen | null, model: string | null, only: readonly string[] | null = null): Generator<Member> {
  const rows = sql.exec<MemberRow>(
    `SELECT e.id, m.labels, e.base, ${TUNED} AS tuned, e.sha256 FROM (${LATEST}) l
     JOIN memberships m ON m.example_id = l.example_id AND m.since = l.since JOIN examples e ON e.id = l.example_id
     WHERE ? IS NULL OR e.id IN (SELECT value FROM json_each(?)) ORDER BY e.id`,
    model,
    model,
    ...bound(seen),
    only && JSON.stringify(only),
    JSON.stringify(only ?? []),
  );
  for (const r of rows)
    yield {
      id: r.id,
      labels: JSON.parse(r.labels) as string[],
      base: new Float32Array(r.base),
      tuned: r.tuned && new Float32Array(r.tuned),
      sha256: r.sha256,
    };
}

export const membersAt = (sql: SqlStorage, seen: Seen | null, model: string | null, only: readonly string[] | null = null): Member[] => [
  ...eachMember(sql, seen, model, only),
];

export type Membership = Pick<Member, 'id' | 'labels' | 'sha256'>;

/** The same without embeddings. */
export function membershipsAt(sql: SqlStorage, seen: Seen | null): Membership[] {
  return sql
    .exec<{ id: string; labels: string; sha256: string }>(
      `SELECT e.id, m.labels, e.sha256 FROM (${LATEST}) l JOIN memberships m ON m.example_id = l.example_id AND m.since = l.since
       JOIN examples e ON e.id = l.example_id ORDER BY e.id`,
      ...bound(seen),
    )
    .toArray()
    .map((r) => ({ ...r, labels: JSON.parse(r.labels) as string[] }));
}

/** False when the id is there already: enrolling twice is enrolling once. */
export function insertExample(sql: SqlStorage, e: NewExample, since: number, source: 'enrolled' | 'dataset', now: number): boolean {
  const done = sql.exec(
    `INSERT INTO examples (id, base, tuned, tuned_model, source, sha256, content_type, object_key, external_id, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
    e.id,
    toBuffer(e.base),
    e.tuned ? toBuffer(e.tuned.embedding) : null,
    e.tuned?.model ?? null,
    source,
    e.sha256,
    e.contentType,
    e.objectKey,
    e.externalId,
    now,
  );
  if (done.rowsWritten === 0) return false;
  assignLabels(sql, e.id, e.labels, since);
  return true;
}

export function assignLabels(sql: SqlStorage, id: string, labels: readonly string[], since: number): void {
  sql.exec('INSERT OR REPLACE INTO memberships (example_id, since, labels) VALUES (?, ?, ?)', id, since, JSON.stringify(labels));
}

/** What another model saw stays beside it: its versions may be served, and learn on, again. */
export function setTuned(sql: SqlStorage, id: string, model: string, tuned: Float32Array): void {
  sql.exec(
    `INSERT OR REPLACE INTO earlier_tuned (example_id, model, embedding)
     SELECT id, tuned_model, tuned FROM examples WHERE id = ? AND tuned IS NOT NULL AND tuned_model <> ?`,
    id,
    model,
  );
  sql.exec('UPDATE examples SET tuned = ?, tuned_model = ? WHERE id = ?', toBuffer(tuned), model, id);
}

export function selectLabels(sql: SqlStorage): LabelInfo[] {
  const counts = new Map<string, number>();
  const rows = sql
    .exec<{ labels: string; n: number }>(
      `SELECT m.labels, count(*) AS n FROM (${LATEST}) l JOIN memberships m ON m.example_id = l.example_id AND m.since = l.since GROUP BY m.labels`,
      ...bound(null),
    )
    .toArray();
  for (const r of rows) for (const name of JSON.parse(r.labels) as string[]) counts.set(name, (counts.get(name) ?? 0) + r.n);
  return sql
    .exec<{ name: string; description: string | null }>('SELECT name, description FROM labels ORDER BY position')
    .toArray()
    .map((l) => ({ ...l, examples: counts.get(l.name) ?? 0 }));
}

/** Adds the label when it is new; sets its vector when one is given. */
export function addLabel(sql: SqlStorage, label: { name: string; description?: string | null; embedding: Float32Array | null }): void {
  sql.exec(
    'INSERT INTO labels (name, description, position) VALUES (?, ?, (SELECT coalesce(max(position), 0) + 1 FROM labels)) ON CONFLICT (name) DO NOTHING',
    label.name,
    label.description ?? null,
  );
  if (label.embedding) sql.exec('INSERT OR REPLACE INTO label_vectors (name, embedding) VALUES (?, ?)', label.name, toBuffer(label.embedding));
}

export function labelVectors(sql: SqlStorage): Map<string, Float32Array> {
  const rows = sql.exec<{ name: string; embedding: ArrayBuffer }>('SELECT name, embedding FROM label_vectors').toArray();
  return new Map(rows.map((r) => [r.name, new Float32Array(r.embedding)]));
}

export function selectVersions(sql: SqlStorage, backbone: string | null): VersionInfo[] {
  const active = activeVersion(sql);
  return sql
    .exec<VersionRow>('SELECT n, kind, labels, recipe, evidence, parent, created_at FROM versions ORDER BY n DESC')
    .toArray()
    .map((r) => toVersion(r, active, backbone));
}

export function selectVersion(sql: SqlStorage, n: number, backbone: string | null): (VersionInfo & { recipe: Recipe }) | null {
  const [row] = sql.exec<VersionRow>('SELECT n, kind, labels, recipe, evidence, parent, created_at FROM versions WHERE n = ?', n).toArray();
  return row ? { ...toVersion(row, activeVersion(sql), backbone), recipe: JSON.parse(row.recipe) as Recipe } : null;
}

function toVersion(r: VersionRow, active: number, backbone: string | null): VersionInfo {
  const recipe = JSON.parse(r.recipe) as Recipe;
  return {
    n: r.n,
    kind: r.kind,
    backbone,
    model: recipe.model,
    labels: JSON.parse(r.labels) as string[],
    evidence: JSON.parse(r.evidence) as unknown,
    parent: r.parent,
    active: r.n === active,
    createdAt: r.created_at,
  };
}
