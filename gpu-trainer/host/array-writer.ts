/** Rows of a frozen dataset, streamed to disk: pictures or token rows go to a temporary file while n is unknown, then into one safetensors file. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { IMAGE_SQUARE_SIDE_PX, TEXT_MAX_TOKENS } from '../../shared/limits.ts';
import { encodeHeader } from '../../shared/safetensors.ts';

export type Row = { readonly kind: 'image'; readonly pixels: Uint8Array } | { readonly kind: 'text'; readonly ids: Int32Array };
/** What stands beside the pictures or token rows. */
export type Columns = {
  readonly labels: Int32Array;
  /** Multi-label: which of so many labels each row has. */
  readonly present?: { readonly labels: number; readonly rows: readonly (readonly number[])[] } | null;
  /** Only of datasets. */
  readonly split?: Uint8Array;
  /** The labels of each further task. */
  readonly tasks?: readonly Int32Array[];
};
export type WrittenFile = { readonly name: string; readonly sha256: string; readonly bytes: number };

/** Rows of `present` that are written at a time. */
const PRESENT_ROWS = 1_024;

export class ArrayWriter {
  readonly #modality: 'image' | 'text';
  readonly #scratch: string;
  readonly #handle: FileHandle;
  readonly #lengths: number[] = [];

  private constructor(modality: 'image' | 'text', scratch: string, handle: FileHandle) {
    this.#modality = modality;
    this.#scratch = scratch;
    this.#handle = handle;
  }

  static async create(modality: 'image' | 'text', scratch: string): Promise<ArrayWriter> {
    return new ArrayWriter(modality, scratch, await open(scratch, 'w'));
  }

  get rows(): number {
    return this.#lengths.length;
  }

  async add(row: Row): Promise<void> {
    if (row.kind === 'image') await this.#handle.write(row.pixels);
    else {
      const padded = new Int32Array(TEXT_MAX_TOKENS);
      padded.set(row.ids);
      await this.#handle.write(new Uint8Array(padded.buffer));
    }
    this.#lengths.push(row.kind === 'text' ? row.ids.length : 0);
  }

  /** Gives up: nothing stays open or on disk. */
  async discard(): Promise<void> {
    await this.#handle.close();
    await rm(this.#scratch, { force: true });
  }

  /** Writes the safetensors file: shared/dataset.ts says what is in it. */
  async finish(file: string, { labels, present = null, split, tasks = [] }: Columns): Promise<WrittenFile> {
    const n = this.rows;
    const side = IMAGE_SQUARE_SIDE_PX;
    // Four-byte tensors first: every tensor stays aligned.
    const small: { name: string; dtype: 'I32' | 'U8'; shape: number[]; bytes: Uint8Array }[] = [
      { name: 'labels', dtype: 'I32', shape: [n], bytes: bytesOf(labels) },
      ...tasks.map((of, i) => ({ name: `tasks.${i}`, dtype: 'I32' as const, shape: [n], bytes: bytesOf(of) })),
    ];
    if (this.#modality === 'text')
      small.push({ name: 'lengths', dtype: 'I32', shape: [n], bytes: new Uint8Array(Int32Array.from(this.#lengths).buffer) });
    const big =
      this.#modality === 'image'
        ? ({ name: 'pixels', dtype: 'U8', shape: [n, side, side, 3] } as const)
        : ({ name: 'input_ids', dtype: 'I32', shape: [n, TEXT_MAX_TOKENS] } as const);
    const last: { name: string; dtype: 'U8'; shape: number[] }[] = [];
    if (split) last.push({ name: 'split', dtype: 'U8', shape: [n] });
    if (present) last.push({ name: 'present', dtype: 'U8', shape: [n, present.labels] });
    const header = encodeHeader([...small, big, ...last]);
    await this.#handle.close();
    const out = await open(file, 'w');
    const hash = createHash('sha256');
    let bytes = 0;
    const write = async (chunk: Uint8Array): Promise<void> => {
      hash.update(chunk);
      bytes += chunk.length;
      await out.writeFile(chunk);
    };
    try {
      await write(header);
      for (const t of small) await write(t.bytes);
      for await (const chunk of createReadStream(this.#scratch)) await write(chunk as Buffer);
      if (split) await write(split);
      if (present) for (const chunk of presence(present)) await write(chunk);
      await out.sync();
    } finally {
      await out.close();
      await rm(this.#scratch, { force: true });
    }
    return { name: path.basename(file), sha256: hash.digest('hex'), bytes };
  }
}

/** U8 [rows, labels] in pieces: a million rows of a thousand labels are a gigabyte. */
function* presence({ labels, rows }: NonNullable<Columns['present']>): Generator<Uint8Array> {
  for (let from = 0; from < rows.length; from += PRESENT_ROWS) {
    const some = rows.slice(from, from + PRESENT_ROWS);
    const chunk = new Uint8Array(some.length * labels);
    for (const [i, of] of some.entries()) for (const label of of) chunk[i * labels + label] = 1;
    yield chunk;
  }
}

function bytesOf(values: Int32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
