/** Bytes that pass through: streams as iterations of chunks and back, and a check of length and digest on the way. */
import { createHash } from 'node:crypto';
import { GraftError } from '../../shared/errors.ts';

export type Chunks = AsyncIterable<Uint8Array>;

/** A stored file and how to read it; `open` may be called again for a second reading. */
export type SourceFile = {
  /** Its name beside the graph that refers to it. */
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly open: () => Promise<ReadableStream<Uint8Array>>;
};

/** The chunks of a stream; leaving the loop early cancels it. */
async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  let whole = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield value;
    }
    whole = true;
  } finally {
    if (!whole) await reader.cancel();
  }
}

/** A file's chunks. Throws GraftError `unavailable` after the last one when length or digest are not the promised ones. */
export async function* readVerified(file: SourceFile): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of chunksOf(await file.open())) {
    hash.update(chunk);
    bytes += chunk.byteLength;
    yield chunk;
  }
  if (bytes !== file.bytes || hash.digest('hex') !== file.sha256)
    throw new GraftError('unavailable', `The file ${file.name} in the object storage is damaged. Publish the backbones or train the model again.`);
}

/** A stream that takes the next chunk only when its reader wants one. */
export function toStream(chunks: Chunks): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

/** Reads forward through chunks: small values are handed out, large ones are skipped without being kept. */
export class Cursor {
  /** Bytes read or skipped so far. */
  at = 0;
  readonly #iterator: AsyncIterator<Uint8Array>;
  #chunk = new Uint8Array(0);
  constructor(chunks: Chunks) {
    this.#iterator = chunks[Symbol.asyncIterator]();
  }

  /** Makes at least one byte available; false at the end. */
  async #fill(): Promise<boolean> {
    while (this.#chunk.byteLength === 0) {
      const { done, value } = await this.#iterator.next();
      if (done) return false;
      this.#chunk = value as Uint8Array<ArrayBuffer>;
    }
    return true;
  }

  async ended(): Promise<boolean> {
    return !(await this.#fill());
  }

  /** Hands the next `length` bytes to `keep`, piece by piece. */
  async #pass(length: number, keep: (piece: Uint8Array, at: number) => void): Promise<void> {
    for (let done = 0; done < length;) {
      if (!(await this.#fill())) throw new RangeError('the file ends inside a field');
      const piece = this.#chunk.subarray(0, length - done);
      keep(piece, done);
      this.#chunk = this.#chunk.subarray(piece.byteLength);
      done += piece.byteLength;
      this.at += piece.byteLength;
    }
  }

  /** Leaves the rest unread. */
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  /** The next `length` bytes as they come. */
  async *pass(length: number): AsyncGenerator<Uint8Array> {
    for (let done = 0; done < length;) {
      if (!(await this.#fill())) throw new RangeError('the file ends inside a field');
      const piece = this.#chunk.subarray(0, length - done);
      this.#chunk = this.#chunk.subarray(piece.byteLength);
      done += piece.byteLength;
      this.at += piece.byteLength;
      yield piece;
    }
  }

  async skip(length: number): Promise<void> {
    await this.#pass(length, () => {});
  }

  async take(length: number): Promise<Uint8Array> {
    const out = new Uint8Array(length);
    await this.#pass(length, (piece, at) => out.set(piece, at));
    return out;
  }

  /** A protobuf number. */
  async varint(): Promise<number> {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const [byte = 0] = await this.take(1);
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new RangeError('a protobuf number has more than ten bytes');
  }
}
