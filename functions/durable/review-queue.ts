/**
 * The review queue of a classifier: doubtful inputs with their embeddings, each once by its SHA-256, the oldest dropped beyond a bound. All
 * synchronous, inside the object; what `enrollReviewed` needs of the background is loaded by its caller.
 */
import { exampleOfReviewItem } from '../../shared/ids.ts';
import type { ReviewedPrediction } from '../../shared/wire/review.ts';
import type { EnrolledFromReview, Failure, NewReviewItem, Outcome, ReviewItemInfo } from '../domain/classifier-object.ts';
import { enrollInto, type NewLabel } from './enroll.ts';
import type { Ledger } from './ledger.ts';
import * as records from './records.ts';
import { toBuffer } from './tables.ts';

type Row = {
  id: string;
  sha256: string;
  base: ArrayBuffer;
  tuned: ArrayBuffer | null;
  tuned_model: string | null;
  content_type: string | null;
  object_key: string | null;
  prediction: string;
  created_at: number;
};
const INFO = 'id, sha256, tuned_model, content_type, object_key, prediction, created_at';
const gone = (id: string): Failure => ({ ok: false, code: 'not_found', detail: `There is no review item "${id.slice(0, 200)}".` });

const toInfo = (r: Omit<Row, 'base' | 'tuned'>): ReviewItemInfo => ({
  id: r.id,
  sha256: r.sha256,
  tunedModel: r.tuned_model,
  contentType: r.content_type,
  objectKey: r.object_key,
  prediction: JSON.parse(r.prediction) as ReviewedPrediction,
  createdAt: r.created_at,
});

/** Those that neither wait already nor are examples: somebody has said already what these are. */
export function newToReview(sql: SqlStorage, sha256s: readonly string[]): string[] {
  return sha256s.filter(
    (sha) =>
      sql
        .exec<{ n: number }>(
          'SELECT (SELECT count(*) FROM review WHERE sha256 = ?) + (SELECT count(*) FROM examples WHERE sha256 = ?) AS n',
          sha,
          sha,
        )
        .one().n === 0,
  );
}

/** Adds what is new, then drops the oldest beyond `max`. `droppedKeys`: originals of items that are no more. */
export function keepForReview(sql: SqlStorage, items: readonly NewReviewItem[], max: number, now: number): { kept: string[]; droppedKeys: string[] } {
  const added: string[] = [];
  for (const item of items) {
    if (newToReview(sql, [item.sha256]).length === 0) continue;
    sql.exec(
      'INSERT INTO review (id, sha256, base, tuned, tuned_model, content_type, object_key, prediction, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      item.id,
      item.sha256,
      toBuffer(item.base),
      item.tuned ? toBuffer(item.tuned.embedding) : null,
      item.tuned?.model ?? null,
      item.contentType,
      item.objectKey,
      JSON.stringify(item.prediction),
      now,
    );
    added.push(item.id);
  }
  const dropped = sql
    .exec<{ id: string; object_key: string | null }>(
      'DELETE FROM review WHERE id NOT IN (SELECT id FROM review ORDER BY id DESC LIMIT ?) RETURNING id, object_key',
      max,
    )
    .toArray();
  const lost = new Set(dropped.map((row) => row.id));
  const fresh = new Set(added);
  return {
    kept: added.filter((id) => !lost.has(id)),
    droppedKeys: dropped.flatMap((row) => (row.object_key !== null && !fresh.has(row.id) ? [row.object_key] : [])),
  };
}

/** Newest first. */
export function listReview(sql: SqlStorage, page: { limit: number; after: string | null }): ReviewItemInfo[] {
  return sql
    .exec<Row>(`SELECT ${INFO} FROM review WHERE (? IS NULL OR id < ?) ORDER BY id DESC LIMIT ?`, page.after, page.after, page.limit)
    .toArray()
    .map(toInfo);
}

export function getReviewItem(sql: SqlStorage, id: string): ReviewItemInfo | null {
  const [row] = sql.exec<Row>(`SELECT ${INFO} FROM review WHERE id = ?`, id).toArray();
  return row ? toInfo(row) : null;
}

/** The item becomes an example and leaves the queue in one step, so of two who say what it is, one does. Its original stays where it is. */
export function enrollReviewed(
  ledger: Ledger,
  id: string,
  said: { labels: readonly string[]; tuned: { model: string; embedding: Float32Array } | null },
  newLabels: readonly NewLabel[],
): Outcome<EnrolledFromReview> {
  const { sql } = ledger;
  const [row] = sql.exec<Row>('SELECT * FROM review WHERE id = ?', id).toArray();
  const exampleId = exampleOfReviewItem(id);
  if (!row) {
    if (records.selectExample(sql, exampleId)) {
      const detail = `The review item "${id}" became the example "${exampleId}" already; give that one other labels with PATCH …/examples/${exampleId}.`;
      return { ok: false, code: 'conflict', detail };
    }
    return gone(id);
  }
  sql.exec('DELETE FROM review WHERE id = ?', id);
  const stored = row.tuned && row.tuned_model !== null ? { model: row.tuned_model, embedding: new Float32Array(row.tuned) } : null;
  const example = {
    id: exampleId,
    labels: said.labels,
    base: new Float32Array(row.base),
    tuned: said.tuned ?? stored,
    sha256: row.sha256,
    contentType: row.content_type,
    objectKey: row.object_key,
    externalId: null,
  };
  const { version, warnings } = enrollInto(ledger, ledger.config(), [example], newLabels);
  return { ok: true, value: { version, exampleId, warnings: warnings[0] ?? [] } };
}

/** Takes the item off the queue; `objectKey` is its original, for the caller to remove. */
export function dropReviewItem(sql: SqlStorage, id: string): Outcome<{ objectKey: string | null }> {
  const [row] = sql.exec<{ object_key: string | null }>('DELETE FROM review WHERE id = ? RETURNING object_key', id).toArray();
  return row ? { ok: true, value: { objectKey: row.object_key } } : gone(id);
}
