/** One ONNX graph with one input and one output, from object storage, checked by its digest before it is opened. */
import { GraftError } from '../../shared/errors.ts';
import type { BlobFile } from '../../shared/catalogue.ts';
import { sha256Hex } from '../domain/digests.ts';
import type { ort } from './ort.ts';
import { openSession } from './ort.ts';

export type Read = (key: string) => Promise<Uint8Array | null>;
/** A file and where it lies. */
export type StoredFile = Pick<BlobFile, 'name' | 'sha256' | 'bytes'> & { readonly key: string };
export type GraphSource = { readonly model: StoredFile; readonly data: StoredFile | null };

async function readChecked(read: Read, file: StoredFile): Promise<Uint8Array> {
  const bytes = await read(file.key);
  if (!bytes) throw new GraftError('unavailable', `The file ${file.name} of a backbone is not in the object storage. Publish the backbones again.`);
  if (bytes.byteLength !== file.bytes || (await sha256Hex(bytes)) !== file.sha256)
    throw new GraftError('unavailable', `The file ${file.name} of a backbone in the object storage is damaged. Publish the backbones again.`);
  return bytes;
}

/** Reads a graph's files, at most a few MB (tails) or 20 MB (trunks). */
export async function readGraph(read: Read, source: GraphSource): Promise<{ model: Uint8Array; data: { path: string; bytes: Uint8Array } | null }> {
  const [model, data] = await Promise.all([readChecked(read, source.model), source.data ? readChecked(read, source.data) : null]);
  return { model, data: data && source.data ? { path: source.data.name, bytes: data } : null };
}

export class Graph {
  readonly #session: ort.InferenceSession;
  private constructor(session: ort.InferenceSession) {
    this.#session = session;
  }

  /** Takes the bytes: they are detached. Must not overlap with other sessions' work. */
  static async open(files: Awaited<ReturnType<typeof readGraph>>): Promise<Graph> {
    return new Graph(await openSession(files));
  }

  /** The output as it comes (dtype float32), and its shape. Must not overlap. */
  async run(input: ort.Tensor): Promise<ort.Tensor> {
    const [name] = this.#session.inputNames;
    const [output] = this.#session.outputNames;
    if (name === undefined || output === undefined) throw new Error('a graph has one input and one output');
    const outputs = await this.#session.run({ [name]: input });
    const tensor = outputs[output];
    if (!tensor) throw new Error(`the graph gave no ${output}`);
    return tensor;
  }

  async close(): Promise<void> {
    await this.#session.release();
  }
}
