/** Presigned transfers, streamed: nothing is held in memory, lengths and digests are checked, interrupted ones are repeated. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Download, UploadTarget } from '../../shared/runner.ts';

const TRIES = 6;
const RETRY_FIRST_MS = 300;

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

const DISK_FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** A write that found no room: repeating it on the same host cannot help. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && DISK_FULL.has(error.code);
}

async function tries<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let n = 1; ; n++) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof TransferRefused || isDiskFull(error) || n === TRIES || signal.aborted) throw error;
      await sleep(RETRY_FIRST_MS * 2 ** n * (0.5 + Math.random()), undefined, { signal });
    }
  }
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

/** Downloads to `file` by rename. Throws TransferRefused when the bytes do not have the promised length or SHA-256. */
export async function download(from: Download, file: string, signal: AbortSignal): Promise<{ bytes: number; sha256: string }> {
  return await tries(signal, async () => {
    const response = await fetch(from.url, { signal });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      const message = `the store answered ${response.status} for ${file}`;
      throw response.status >= 500 ? new Error(message) : new TransferRefused(message, response.status);
    }
    const hash = createHash('sha256');
    let bytes = 0;
    const count = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        bytes += chunk.length;
        done(null, chunk);
      },
    });
    try {
      await pipeline(Readable.fromWeb(response.body as NodeReadableStream), count, createWriteStream(`${file}.part`), { signal });
      const sha256 = hash.digest('hex');
      if (from.bytes !== null && bytes !== from.bytes) throw new Error(`${bytes} bytes arrived for ${file}, expected ${from.bytes}`);
      if (from.sha256 !== null && sha256 !== from.sha256) throw new TransferRefused(`${file} has SHA-256 ${sha256}, expected ${from.sha256}`, null);
      await rename(`${file}.part`, file);
      return { bytes, sha256 };
    } catch (error) {
      await rm(`${file}.part`, { force: true });
      throw error;
    }
  });
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
    if (!response.ok) {
      const message = `the store answered ${response.status} to the upload of ${file}: ${text.slice(0, 300)}`;
      throw response.status >= 500 ? new Error(message) : new TransferRefused(message, response.status);
    }
    return response.headers.get('etag') ?? '';
  });
}
