/**
 * Rows that come as lines, in their own order: JSONL and CSV of texts, and JSONL in a zip beside the pictures that it names. Bad lines become errors,
 * the rest goes on. What a row may say beside its text or picture is told in answers.ts.
 */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { parse } from 'csv-parse';
import type { Task } from '../../../shared/catalogue.ts';
import { ARCHIVE_LIST_MAX_BYTES, IMAGE_MAX_BYTES, LINE_MAX_BYTES, TEXT_MAX_BYTES } from '../../../shared/limits.ts';
import { answers, SINGLE, TASK_COLUMN, type At, type Reading, type Said } from './answers.ts';
import { openArchive } from './archive.ts';
import { RowError } from './row-error.ts';
import type { OnError, SourceRow } from './sources.ts';
import { notUtf8, textLines, watchUtf8 } from './text-lines.ts';

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const REPLACEMENT = '\uFFFD';
/** Between cells, where the header has no comma: what spreadsheets write under the settings of many languages, and what is copied from them. */
const OTHER_SEPARATORS = [';', '\t'] as const;
const HEADER_MAX_BYTES = 64 * 1024;
/** Between the labels in a cell of CSV. */
const LABEL_SEPARATOR = '|';

/** `{"text", "label" | "labels" | "tasks"}` a line; `target` is read as `label`, `split` is optional. */
export async function* jsonLines(file: string, name: string, onError: OnError, reading: Reading = SINGLE): AsyncGenerator<SourceRow> {
  const { task, columns } = reading;
  yield* eachLine(createReadStream(file), name, onError, columns, async (row, at) => textRow(readObject(row, 'text', columns, at), task, at));
}

/** A zip with one JSONL file whose lines name pictures by their path from that file: `{"image", "label" | "labels" | "tasks"}`. */
export async function* pictureLines(file: string, archiveBytes: number, onError: OnError, reading: Reading = SINGLE): AsyncGenerator<SourceRow> {
  const { task, columns } = reading;
  const archive = await openArchive(file, archiveBytes);
  try {
    const lists = archive.entries.filter((e) => e.fileName.toLowerCase().endsWith('.jsonl'));
    const [list] = lists;
    if (!list || lists.length > 1) throw new RowError('list_missing', `The archive holds ${lists.length} JSONL files; it needs exactly one.`);
    const folder = list.fileName.slice(0, list.fileName.lastIndexOf('/') + 1);
    // Archives of macOS decompose the accents of names (NFD), lists hardly ever do.
    const entries = new Map([
      ...archive.entries.map((e) => [composed(e.fileName), e] as const),
      ...archive.entries.map((e) => [e.fileName, e] as const),
    ]);
    const lines = Readable.from([Buffer.from(await archive.read(list, ARCHIVE_LIST_MAX_BYTES))]);
    yield* eachLine(lines, list.fileName, onError, columns, async (row, at) => {
      const said = readObject(row, 'image', columns, at);
      if (typeof said.content !== 'string' || said.content === '') throw new RowError('image_missing', 'The row names no picture.', at.file, at.line);
      const entry = entries.get(folder + said.content) ?? entries.get(composed(folder + said.content));
      if (!entry) throw new RowError('image_missing', `The archive has no picture "${folder}${said.content}".`, at.file, at.line);
      return { ...answers(said, task, at), bytes: await archive.read(entry, IMAGE_MAX_BYTES) };
    });
  } finally {
    archive.close();
  }
}

/**
 * CSV with a header (RFC 4180), with another separator where the header has one, and with quotes inside of values as other readers take them. `columns` maps `text`, `label`, `labels`, `split` and
 * `tasks.<name>` to the caller's column names.
 */
export async function* csvRows(file: string, name: string, reading: Reading, onError: OnError): AsyncGenerator<SourceRow> {
  const { task, columns } = reading;
  const named = { text: 'text', label: 'label', labels: 'labels', split: 'split', ...columns };
  const tasks = Object.entries(columns ?? {}).filter(([key]) => key.startsWith(TASK_COLUMN));
  const utf8 = watchUtf8(createReadStream(file));
  const parser = Readable.from(utf8.bytes).pipe(
    parse({
      bom: true,
      delimiter: await separatorOf(file),
      columns: (header: string[]) => readHeader(header, { file: name, reading, onError }),
      info: true,
      max_record_size: LINE_MAX_BYTES,
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: true,
    }),
  );
  try {
    for await (const item of parser as AsyncIterable<{ record: Record<string, string>; info: { lines: number; error?: { message: string } } }>) {
      const { record, info } = item;
      try {
        if (info.error) throw new RowError('row_invalid', info.error.message, name, info.lines);
        if (utf8.broken() && Object.values(record).some((value) => value.includes(REPLACEMENT))) throw notUtf8(name, info.lines);
        const of = new Map(tasks.map(([key, column]) => [key.slice(TASK_COLUMN.length), record[column] || null]));
        const labels = task === 'multi_label' ? labelsOfCell(record[named.labels]) : null;
        const said = { content: record[named.text], label: record[named.label] || null, labels, tasks: of, split: record[named.split] || null };
        yield textRow(said, task, { file: name, line: info.lines });
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        onError(error);
      }
    }
  } catch (error) {
    if (error instanceof RowError) throw error;
    const { message, code, lines } = error as Error & { code?: string; lines?: number };
    if (code === 'CSV_MAX_RECORD_SIZE')
      throw new RowError('csv_invalid', `The record has more than ${LINE_MAX_BYTES} bytes; a quote before it may not be closed.`, name, lines);
    if (code !== 'CSV_QUOTE_NOT_CLOSED') throw new RowError('csv_invalid', `The CSV cannot be read: ${message}.`, name, lines);
    const line = await lastOpenQuote(file);
    throw new RowError('csv_invalid', `The quote that opens in line ${line} is not closed.`, name, line);
  }
}

/** What is between the cells of the first line. A comma wins: it is what CSV says, and texts may hold the others. */
async function separatorOf(file: string): Promise<string> {
  const head: Buffer[] = [];
  for await (const chunk of createReadStream(file, { end: HEADER_MAX_BYTES - 1 }) as AsyncIterable<Buffer>) head.push(chunk);
  const [first = ''] = Buffer.concat(head)
    .toString('latin1')
    .split(/[\r\n]/, 1);
  return first.includes(',') ? ',' : (OTHER_SEPARATORS.find((separator) => first.includes(separator)) ?? ',');
}

/**
 * The names of the columns, without blanks around them. Labels and split may be absent, but not when the caller named them: all rows would silently be
 * unlabelled. Throws RowError.
 */
function readHeader(header: readonly string[], { file, reading, onError }: { file: string; reading: Reading; onError: OnError }): string[] {
  const { task, columns } = reading;
  const holding = task === 'multi_label' ? ['labels', 'label'] : ['label'];
  const names = header.map((column) => column.trim());
  const has = `it has: ${names.join(', ')}`;
  const missing = [columns?.['text'] ?? 'text', ...Object.values(columns ?? {})].find((column) => !names.includes(column));
  if (missing !== undefined) throw new RowError('column_missing', `The header has no column "${missing}"; ${has}.`, file, 1);
  const read = ['text', ...holding, 'split'].map((column) => columns?.[column] ?? column).concat(Object.values(columns ?? {}));
  const twice = read.find((column) => names.indexOf(column) !== names.lastIndexOf(column));
  if (twice !== undefined) throw new RowError('column_repeated', `The header has the column "${twice}" more than once.`, file, 1);
  const others = names.some((column) => !['text', 'split'].includes(column) && !Object.values(columns ?? {}).includes(column));
  if (others && !holding.some((column) => names.includes(column)) && !Object.keys(columns ?? {}).some((key) => key !== 'text' && key !== 'split')) {
    const detail = `The header has no column "${holding[0]}", so no row has a label; ${has}. Another name is given in "columns".`;
    onError(new RowError('label_column_missing', detail, file, 1));
  }
  return names;
}

/** Of a quote that stays open csv-parse knows only where the file ends. Quotes open and close in turn, escaped ones ("") twice. */
async function lastOpenQuote(file: string): Promise<number> {
  let [line, opened, open] = [1, 1, false];
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    for (const byte of chunk) {
      if (byte === NEWLINE) line++;
      if (byte !== QUOTE) continue;
      open = !open;
      if (open) opened = line;
    }
  }
  return opened;
}

async function* eachLine(
  input: AsyncIterable<Buffer>,
  name: string,
  onError: OnError,
  columns: Reading['columns'],
  read: (row: Record<string, unknown>, at: At) => Promise<SourceRow>,
): AsyncGenerator<SourceRow> {
  // As in CSV: a key that the caller named and no line has would leave all rows unlabelled.
  const unseen = new Set(Object.values(columns ?? {}));
  let objects = 0;
  for await (const { line, text } of textLines(input)) {
    const at = { file: name, line };
    try {
      const clean = text(name);
      if (clean.trim() === '') continue;
      const row = parseObject(clean, at);
      objects++;
      for (const key of unseen) if (Object.hasOwn(row, key)) unseen.delete(key);
      yield await read(row, at);
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      onError(error);
    }
  }
  const [missing] = unseen;
  if (objects > 0 && missing !== undefined) throw new RowError('column_missing', `No line has the key "${missing}".`, name);
}

function parseObject(text: string, at: At): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RowError('json_invalid', `The line is not JSON: ${(error as Error).message}.`, at.file, at.line);
  }
  if (!isObject(value)) throw new RowError('row_invalid', 'The line is not a JSON object.', at.file, at.line);
  return value;
}

function readObject(row: Record<string, unknown>, content: 'text' | 'image', columns: Reading['columns'], at: At): Said {
  const key = (name: string): string => columns?.[name] ?? name;
  const tasks = row['tasks'] ?? {};
  if (!isObject(tasks)) throw new RowError('tasks_invalid', '"tasks" is not an object of task names and labels.', at.file, at.line);
  const named = Object.entries(columns ?? {}).flatMap(([name, of]) =>
    name.startsWith(TASK_COLUMN) ? [[name.slice(TASK_COLUMN.length), row[of]] as const] : [],
  );
  return {
    content: row[key(content)],
    label: row[key('label')] ?? row['target'] ?? null,
    labels: row[key('labels')] ?? null,
    tasks: new Map([...Object.entries(tasks), ...named]),
    split: row[key('split')] ?? null,
  };
}

/** Labels with `|` between them. Null where there is no such column; an empty cell says that the row has none of the labels. */
function labelsOfCell(cell: string | undefined): string[] | null {
  if (cell === undefined) return null;
  return cell.trim() === '' ? [] : cell.split(LABEL_SEPARATOR);
}

const composed = (name: string): string => name.normalize('NFC');

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textRow(said: Said, task: Task, at: At): SourceRow {
  if (typeof said.content !== 'string' || said.content.trim() === '') throw new RowError('text_missing', 'The row has no text.', at.file, at.line);
  const bytes = new TextEncoder().encode(said.content);
  if (bytes.length > TEXT_MAX_BYTES)
    throw new RowError('text_too_long', `The text has ${bytes.length} bytes; the limit is ${TEXT_MAX_BYTES}.`, at.file, at.line);
  return { ...answers(said, task, at), bytes };
}
