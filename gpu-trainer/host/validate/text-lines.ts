/**
 * Lines of a stranger's text. They end at line feeds only: Node's readline also ends them at U+2028, which JSON strings may hold as it is. A line that
 * does not end is not kept in memory, and bytes that are not UTF-8 are an error, where a lenient decoder would put replacement characters into texts.
 */
import { createReadStream } from 'node:fs';
import { LINE_MAX_BYTES } from '../../../shared/limits.ts';
import { RowError } from './row-error.ts';

const NEWLINE = 0x0a;

export type Line = { readonly line: number; /** Throws RowError when it is too long or not UTF-8. */ readonly text: (file: string) => string };

/** Every line from 1 on, without its end; a last one without a line feed, too. */
export async function* textLines(input: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  let line = 1;
  let parts: Buffer[] = [];
  let bytes = 0;
  const take = (part: Buffer): void => {
    bytes += part.length;
    if (bytes > LINE_MAX_BYTES) parts = [];
    else parts.push(part);
  };
  const end = (): Line => {
    const [number, length, content] = [line++, bytes, Buffer.concat(parts)];
    parts = [];
    bytes = 0;
    return { line: number, text: (file) => decode(content, length, file, number) };
  };
  for await (const chunk of input) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      take(chunk.subarray(from, at));
      yield end();
      from = at + 1;
    }
    if (from < chunk.length) take(chunk.subarray(from));
  }
  if (bytes > 0) yield end();
}

function decode(content: Buffer, length: number, file: string, line: number): string {
  if (length > LINE_MAX_BYTES) throw new RowError('line_too_long', `The line has ${length} bytes; the limit is ${LINE_MAX_BYTES}.`, file, line);
  try {
    // Leaves out a byte order mark.
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    throw notUtf8(file, line);
  }
}

export function notUtf8(file: string, line: number): RowError {
  return new RowError('encoding_invalid', 'The line is not UTF-8. Save the file as UTF-8.', file, line);
}

/** Passes bytes on unchanged; `broken()` says whether any so far were not UTF-8. UTF-16 with a byte order mark is left to the reader. */
export function watchUtf8(input: AsyncIterable<Buffer>): { bytes: AsyncGenerator<Buffer>; broken: () => boolean } {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let state: 'new' | 'fine' | 'broken' | 'other' = 'new';
  async function* bytes(): AsyncGenerator<Buffer> {
    for await (const chunk of input) {
      if (state === 'new') state = chunk[0] === 0xff && chunk[1] === 0xfe ? 'other' : 'fine';
      if (state === 'fine')
        try {
          decoder.decode(chunk, { stream: true });
        } catch {
          state = 'broken';
        }
      yield chunk;
    }
  }
  return { bytes: bytes(), broken: () => state === 'broken' };
}

/** The values of a file of JSON lines, one after the other. */
export async function* jsonLinesOf(file: string): AsyncGenerator<unknown> {
  for await (const line of textLines(createReadStream(file))) yield JSON.parse(line.text(file));
}
