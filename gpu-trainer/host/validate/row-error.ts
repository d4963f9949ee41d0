/** Something wrong with one row, or with the whole upload when it has no file. Its text is shown to the caller. */
import type { ErrorDetail } from '../../../shared/errors.ts';

/** Names and keys of strangers may have megabytes. */
const SHOWN_MAX_CHARS = 500;

export class RowError extends Error {
  override readonly name = 'RowError';
  readonly code: string;
  readonly file: string | undefined;
  readonly line: number | undefined;
  constructor(code: string, detail: string, file?: string, line?: number) {
    super(detail);
    this.code = code;
    this.file = file;
    this.line = line;
  }
  toDetail(): ErrorDetail {
    return {
      code: this.code,
      detail: clip(this.message),
      ...(this.file === undefined ? {} : { file: clip(this.file) }),
      ...(this.line === undefined ? {} : { line: this.line }),
    };
  }
}

function clip(text: string): string {
  return text.length <= SHOWN_MAX_CHARS ? text : `${text.slice(0, SHOWN_MAX_CHARS).toWellFormed()}…`;
}
