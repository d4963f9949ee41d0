/** Presigned transfers, streamed: nothing is held in memory, lengths and digests are checked, interrupted ones are repeated. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Download, UploadTarget } from '../../shared/runner.ts';

const TRIES = 6;
const RETRY_FIRST_MS = 300;
/** A try that brought so much was none in vain. */
const PROGRESS_MIN_BYTES = 1024 * 1024;

/** Repeating cannot help: the store says no, or the bytes are not the promised ones. */
export class TransferRefused extends Error {
  override readonly name = 'TransferRefused';
  /** What the store answered; null when it answered with other bytes. */
  readonly status: number | null;
  constructor(message: string, status: number | null) {
    super(message);
    this.status = status;
  }
}

/**
 * The object is no longer there, or is not the promised one. Any other refusal (a signature that ran out, a clock that is off, credentials) says nothing of
 * the object, and whoever asks again with another URL may have it.
 */
export function isGone(error: unknown): boolean {
  return error instanceof TransferRefused && (error.status === null || error.status === 404);
}

const DISK_FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** A write that found no room: repeating it on the same host cannot help. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && DISK_FULL.has(error.code);
}

/** `arrived`: bytes that need not be sent again. A line that breaks once an hour ends no transfer of a day. */
async function tries<T>(signal: AbortSignal, attempt: () => Promise<T>, arrived = (): number => 0): Promise<T> {
  let most = arrived();
  for (let n = 1; ; n++) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (arrived() >= most + PROGRESS_MIN_BYTES) [n, most] = [1, arrived()];
      if (error instanceof TransferRefused || isDiskFull(error) || n === TRIES || signal.aborted) throw error;
      await sleep(RETRY_FIRST_MS * 2 ** n * (0.5 + Math.random()), undefined, { signal });
    }
  }
}

/** Too many requests, and a client that the store found too slow (S3 says that with 400), are asked to come again like any failure of the store's own. */
function refusal(status: number, message: string, said: string): Error {
  const passes = status >= 500 || status === 429 || status === 408 || (status === 400 && said.includes('<Code>RequestTimeout</Code>'));
  return passes ? new Error(message) : new TransferRefused(message, status);
}

/** A run of a file's bytes. */
export type Slice = { readonly start: number; readonly bytes: number };

function read(file: string, slice?: Slice) {
  return createReadStream(file, slice ? { start: slice.start, end: slice.start + slice.bytes - 1 } : {});
}

export async function sha256OfFile(file: string, slice?: Slice): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of read(file, slice)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/**
 * Downloads to `file` by rename. After a cut it goes on where it was, where the store still has the same object (its ETag) and answers with the rest. Throws
 * TransferRefused when the bytes do not have the promised SHA-256.
 */
export async function download(from: Download, file: string, signal: AbortSignal): Promise<{ bytes: number; sha256: string }> {
  const part = `${file}.part`;
  const there = await Arrived.at(part);
  try {
    await tries(
      signal,
      async () => await fetchRest(from, file, there, signal),
      () => there.bytes,
    );
    const { bytes, sha256 } = await there.end();
    if (from.sha256 !== null && sha256 !== from.sha256) throw new TransferRefused(`${file} has SHA-256 ${sha256}, expected ${from.sha256}`, null);
    await rename(part, file);
    return { bytes, sha256 };
  } catch (error) {
    await there.end();
    await rm(part, { force: true });
    throw error;
  }
}

async function fetchRest(from: Download, file: string, there: Arrived, signal: AbortSignal): Promise<void> {
  const { etag, bytes } = there;
  const response = await fetch(from.url, { signal, headers: etag === null ? {} : { range: `bytes=${bytes}-`, 'if-range': etag } });
  const now = strong(response.headers.get('etag'));
  const goesOn = response.status === 206 && now === etag && response.headers.get('content-range')?.startsWith(`bytes ${bytes}-`) === true;
  if (!response.ok && response.status !== 416)
    throw refusal(response.status, `the store answered ${response.status} for ${file}`, await response.text());
  if (!goesOn) await there.startAgain();
  if (!response.body || response.status === 416 || (response.status === 206 && !goesOn)) {
    await response.body?.cancel();
    throw new Error(`the store has another object than the first part of ${file} is of`);
  }
  there.etag = now;
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) await there.add(chunk);
  if (from.bytes === null || there.bytes === from.bytes) return;
  const arrived = there.bytes;
  if (arrived > from.bytes) await there.startAgain();
  throw new Error(`${arrived} bytes arrived for ${file}, expected ${from.bytes}`);
}

/** A weak one does not promise the same bytes. */
const strong = (etag: string | null): string | null => (etag?.startsWith('"') ? etag : null);

/** What of a download is on the disk: its length and digest are always those of the bytes that were written. */
class Arrived {
  readonly #file: string;
  #out: FileHandle;
  #hash = createHash('sha256');
  #sha256: string | null = null;
  bytes = 0;
  /** Of the object that these bytes are of; null where nothing can be gone on with. */
  etag: string | null = null;

  private constructor(file: string, out: FileHandle) {
    this.#file = file;
    this.#out = out;
  }

  static async at(file: string): Promise<Arrived> {
    return new Arrived(file, await open(file, 'w'));
  }

  async add(chunk: Uint8Array): Promise<void> {
    await this.#out.writeFile(chunk);
    this.#hash.update(chunk);
    this.bytes += chunk.length;
  }

  async startAgain(): Promise<void> {
    if (this.bytes === 0) return;
    await this.#out.close();
    this.#out = await open(this.#file, 'w');
    this.#hash = createHash('sha256');
    [this.bytes, this.etag] = [0, null];
  }

  /** May be called again. */
  async end(): Promise<{ bytes: number; sha256: string }> {
    await this.#out.close();
    this.#sha256 ??= this.#hash.digest('hex');
    return { bytes: this.bytes, sha256: this.#sha256 };
  }
}

/** Uploads a file, or a slice of it; the signed headers make the store refuse other bytes. Answers the ETag. */
export async function upload(file: string, to: UploadTarget, signal: AbortSignal, slice?: Slice): Promise<string> {
  const size = slice?.bytes ?? (await stat(file)).size;
  return await tries(signal, async () => {
    const headers = Object.fromEntries(Object.entries(to.headers).filter(([name]) => name.toLowerCase() !== 'host'));
    const response = await fetch(to.url, {
      method: 'PUT',
      headers: { ...headers, 'content-length': String(size) },
      body: Readable.toWeb(read(file, slice)) as unknown as BodyInit,
      duplex: 'half',
      signal,
    } as RequestInit);
    const text = await response.text();
    if (!response.ok) throw refusal(response.status, `the store answered ${response.status} to the upload of ${file}: ${text.slice(0, 300)}`, text);
    return response.headers.get('etag') ?? '';
  });
}
