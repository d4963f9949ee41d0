/** The rows of an upload in its own order, not yet decoded: ImageFolder zips, JSONL and CSV. Bad lines become errors, the rest goes on. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { parse } from 'csv-parse';
import { IMAGE_MAX_BYTES, LABEL_NAME_MAX_CHARS, TEXT_MAX_BYTES } from '../../../shared/limits.ts';
import { openArchive } from './archive.ts';
import { RowError } from './row-error.ts';

export type Split = 'train' | 'validation' | 'test';
export type SourceRow = {
  readonly file: string;
  readonly line?: number;
  readonly label: string | null;
  readonly split: Split | null;
  readonly bytes: Uint8Array;
};
export type OnError = (error: RowError) => void;

// A map, because a plain object also answers to names such as `constructor`.
const SPLIT_NAMES: ReadonlyMap<string, Split> = new Map([
  ['train', 'train'],
  ['training', 'train'],
  ['validation', 'validation'],
  ['valid', 'validation'],
  ['val', 'validation'],
  ['test', 'test'],
]);

/** `label/picture`, `split/label/picture`, or either below one common top folder. */
export async function* imageFolder(file: string, archiveBytes: number, onError: OnError): AsyncGenerator<SourceRow> {
  const archive = await openArchive(file, archiveBytes);
  try {
    const paths = archive.entries.map((e) => e.fileName.split('/'));
    const top = paths[0]?.[0];
    const deep = paths.length > 0 && paths.every((p) => p.length >= 3 && p[0] === top) && !(top !== undefined && SPLIT_NAMES.has(top.toLowerCase()));
    for (const [i, entry] of archive.entries.entries()) {
      try {
        const parts = deep ? paths[i]!.slice(1) : paths[i]!;
        const split = parts.length > 2 ? (SPLIT_NAMES.get(parts[0]!.toLowerCase()) ?? null) : null;
        const rest = split ? parts.slice(1) : parts;
        if (rest.length < 2)
          throw new RowError(
            'label_missing',
            'The picture lies in no label folder; use label/picture or train|validation|test/label/picture.',
            entry.fileName,
          );
        if (rest.length > 2) throw new RowError('path_too_deep', 'Pictures lie directly in their label folder.', entry.fileName);
        const label = checkLabel(rest[0]!, entry.fileName);
        yield { file: entry.fileName, label, split, bytes: await archive.read(entry, IMAGE_MAX_BYTES) };
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        onError(error);
      }
    }
  } finally {
    archive.close();
  }
}

/** `{"text", "label"}` a line; `target` is read as `label`, `split` is optional. */
export async function* jsonLines(file: string, name: string, onError: OnError): AsyncGenerator<SourceRow> {
  let line = 0;
  for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    line++;
    const clean = line === 1 ? text.replace(/^\uFEFF/, '') : text;
    if (clean.trim() === '') continue;
    try {
      let value: unknown;
      try {
        value = JSON.parse(clean);
      } catch (error) {
        throw new RowError('json_invalid', `The line is not JSON: ${(error as Error).message}.`, name, line);
      }
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        throw new RowError('row_invalid', 'The line is not a JSON object.', name, line);
      const row = value as Record<string, unknown>;
      yield textRow(row['text'], row['label'] ?? row['target'] ?? null, row['split'] ?? null, name, line);
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      onError(error);
    }
  }
}

/** CSV with a header (RFC 4180). `columns` maps `text`, `label` and `split` to the caller's column names. */
export async function* csvRows(file: string, name: string, columns: Record<string, string> | null, onError: OnError): AsyncGenerator<SourceRow> {
  const named = { text: 'text', label: 'label', split: 'split', ...columns };
  const parser = createReadStream(file).pipe(parse({ bom: true, columns: true, info: true, relax_column_count: true, skip_empty_lines: true }));
  // Label and split may be absent, but not when the caller named them: all rows would silently be unlabelled.
  const needed = [named.text, ...Object.values(columns ?? {})];
  let checked = false;
  try {
    for await (const item of parser as AsyncIterable<{ record: Record<string, string>; info: { lines: number; error?: { message: string } } }>) {
      const { record, info } = item;
      if (!checked) {
        const missing = needed.find((column) => !Object.hasOwn(record, column));
        if (missing !== undefined)
          throw new RowError('column_missing', `The header has no column "${missing}"; it has: ${Object.keys(record).join(', ')}.`, name, 1);
        checked = true;
      }
      try {
        if (info.error) throw new RowError('row_invalid', info.error.message, name, info.lines);
        yield textRow(record[named.text], record[named.label] || null, record[named.split] || null, name, info.lines);
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        onError(error);
      }
    }
  } catch (error) {
    if (error instanceof RowError) throw error;
    throw new RowError('csv_invalid', `The CSV cannot be read: ${(error as Error).message}.`, name);
  }
}

function textRow(text: unknown, label: unknown, split: unknown, file: string, line: number): SourceRow {
  if (typeof text !== 'string' || text.trim() === '') throw new RowError('text_missing', 'The row has no text.', file, line);
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > TEXT_MAX_BYTES)
    throw new RowError('text_too_long', `The text has ${bytes.length} bytes; the limit is ${TEXT_MAX_BYTES}.`, file, line);
  if (label !== null && typeof label !== 'string') throw new RowError('label_invalid', 'The label is not a string.', file, line);
  const place = split === null ? null : SPLIT_NAMES.get(typeof split === 'string' ? split.toLowerCase() : '');
  if (place === undefined) throw new RowError('split_invalid', 'The split is not train, validation or test.', file, line);
  return { file, line, label: label === null ? null : checkLabel(label, file, line), split: place, bytes };
}

function checkLabel(label: string, file: string, line?: number): string {
  const clean = label.trim().normalize('NFC');
  if (clean === '') throw new RowError('label_missing', 'The label is empty.', file, line);
  if (clean.length > LABEL_NAME_MAX_CHARS)
    throw new RowError('label_too_long', `The label has ${clean.length} characters; the limit is ${LABEL_NAME_MAX_CHARS}.`, file, line);
  return clean;
}
