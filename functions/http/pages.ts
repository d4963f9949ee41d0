/** Cursors of lists. A cursor is opaque to callers: base64url of the last id of the page before. */
import { GraftError } from '../../shared/errors.ts';
import { idPattern, type IdKind } from '../../shared/ids.ts';
import type { PageQuery, WholeQuery } from '../../shared/wire/page.ts';

export { listOf, PageQuery, WholeQuery } from '../../shared/wire/page.ts';

const PREFIX = 'after:';

function encodeCursor(id: string): string {
  const bytes = new TextEncoder().encode(PREFIX + id);
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

function decodeCursor(cursor: string): string {
  try {
    const binary = atob(cursor.replaceAll('-', '+').replaceAll('_', '/'));
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(binary, (c) => c.charCodeAt(0)));
    if (text.startsWith(PREFIX)) return text.slice(PREFIX.length);
  } catch {
    // Falls through to the one answer for everything that we did not make.
  }
  throw foreignCursor();
}

function foreignCursor(): GraftError {
  const detail = 'The cursor is not one that this list gave; pass `next_cursor` of the page before as it was.';
  return new GraftError('invalid_request', detail, { param: 'cursor' });
}

/**
 * What stores take: at most `limit` rows after the id `after` (null: from the start).
 *
 * @param kind of the list's ids. Ids are compared as text: that of another kind would give nothing, or the first page for ever.
 * @throws `invalid_request` for the cursor of another list
 */
export function pageOf(query: PageQuery, kind: IdKind): { limit: number; after: string | null } {
  const after = query.cursor === undefined ? null : decodeCursor(query.cursor);
  if (after !== null && !idPattern(kind).test(after)) throw foreignCursor();
  return { limit: query.limit, after };
}

/** The same for a list that goes by numbers: the one to start after, 0 from the start. */
export function numbersOf(query: PageQuery): { limit: number; after: number } {
  const after = query.cursor === undefined ? null : decodeCursor(query.cursor);
  // Taken for the start, the cursor of another list would give the first page for ever.
  if (after !== null && !/^\d{1,15}$/.test(after)) throw foreignCursor();
  return { limit: query.limit, after: Number(after ?? 0) };
}

/** The answer from `limit + 1` rows as stores give them: the one too many says that there is a next page. */
export function toList<Row extends { readonly id: string }, Item>(rows: readonly Row[], limit: number, toItem: (row: Row) => Item) {
  const shown = rows.slice(0, limit);
  return listAnswer(shown.map(toItem), rows.length > limit, shown.at(-1)?.id ?? null);
}

/** The answer from items and the id that the next page starts after. */
export function listAnswer<Item>(data: Item[], hasMore: boolean, lastId: string | null) {
  return { object: 'list' as const, data, has_more: hasMore, next_cursor: hasMore && lastId !== null ? encodeCursor(lastId) : null };
}

/** The answer from a list that was read whole. After an item that is gone by now there is nothing: lists lose their last ones first. */
export function pageOfWhole<Item>(items: readonly Item[], query: WholeQuery, idOf: (item: Item) => string) {
  const after = query.cursor === undefined ? null : decodeCursor(query.cursor);
  const place = after === null ? -1 : items.findIndex((item) => idOf(item) === after);
  const start = after !== null && place < 0 ? items.length : place + 1;
  const data = items.slice(start, query.limit === undefined ? undefined : start + query.limit);
  const last = data.at(-1);
  return listAnswer(data, start + data.length < items.length, last === undefined ? null : idOf(last));
}
