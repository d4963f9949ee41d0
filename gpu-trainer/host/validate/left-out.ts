/** The rows of an upload that are not in the dataset, every one: its answer names a thousand of them, the quality report the rest too. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import type { ErrorDetail } from '../../../shared/errors.ts';
import type { DatasetIssue } from '../../../shared/quality.ts';

/** `file` has lines of DatasetIssue; `counts` by code. */
export type LeftOut = { readonly file: string; readonly counts: Readonly<Record<string, number>> };

const BUFFERED_CHARS = 65_536;

export class LeftOutRows {
  readonly #file: string;
  readonly #counts = new Map<string, number>();
  #to: number | null = null;
  #pending = '';

  constructor(file: string) {
    this.#file = file;
  }

  /** What names no file is about the upload as a whole, and no row. */
  add({ code, detail, file, line }: ErrorDetail): void {
    if (file === undefined) return;
    const row: DatasetIssue = {
      code,
      row: null,
      score: 1,
      suggested: null,
      with: null,
      detail,
      file,
      line: line ?? null,
      with_file: null,
      with_line: null,
    };
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
    this.#pending += `${JSON.stringify(row)}\n`;
    if (this.#pending.length >= BUFFERED_CHARS) this.#write();
  }

  /** Nothing is written any more. Null when nothing was left out. */
  close(): LeftOut | null {
    if (this.#pending !== '') this.#write();
    if (this.#to !== null) closeSync(this.#to);
    return this.#counts.size === 0 ? null : { file: this.#file, counts: Object.fromEntries(this.#counts) };
  }

  /** What is added afterwards is kept nowhere. */
  discard(): void {
    if (this.#to !== null) closeSync(this.#to);
    this.#to = null;
    this.#pending = '';
    rmSync(this.#file, { force: true });
  }

  #write(): void {
    this.#to ??= openSync(this.#file, 'a');
    writeSync(this.#to, this.#pending);
    this.#pending = '';
  }
}
