/**
 * Where the parts of a large ONNX file lie, read in one pass that keeps nothing: a trunk of 20 MB beside two open networks would not fit an isolate's
 * memory. With the places known, a second pass copies the file and changes it on the way (`spliced`).
 */
import { fieldsOf, splitTag, textOf } from './protobuf.ts';
import { Cursor, type Chunks } from './streams.ts';

type Span = { readonly from: number; readonly to: number };
export type ModelLayout = {
  readonly bytes: number;
  /** The graph's length (a varint), right before its body. */
  readonly graphLength: Span;
  readonly graph: Span;
  /** GraphProto.output fields, tags included, and the names in them. */
  readonly outputs: readonly (Span & { readonly name: string })[];
  /** Version by domain; '' is ONNX itself. */
  readonly opsets: ReadonlyMap<string, number>;
};

const MODEL_OPSET = 8;
const MODEL_GRAPH = 7;
const GRAPH_OUTPUT = 12;

/** Domain and version of an OperatorSetIdProto. */
export function readOpset(message: Uint8Array): [domain: string, version: number] {
  let domain = '';
  let version = 0;
  for (const field of fieldsOf(message)) {
    if (field.number === 1) domain = textOf(field);
    if (field.number === 2) version = field.value;
  }
  return [domain, version];
}

/** The name in a ValueInfoProto. */
export function readValueName(message: Uint8Array): string {
  for (const field of fieldsOf(message)) if (field.number === 1) return textOf(field);
  return '';
}

/** Reads a ModelProto to its end. Throws RangeError when it is none. */
export async function scanModel(chunks: Chunks): Promise<ModelLayout> {
  const cursor = new Cursor(chunks);
  try {
    return await walk(cursor);
  } finally {
    await cursor.close();
  }
}

async function walk(cursor: Cursor): Promise<ModelLayout> {
  const outputs: (Span & { name: string })[] = [];
  const opsets = new Map<string, number>();
  let graphLength: Span | null = null;
  let graph: Span | null = null;
  while (!(await cursor.ended())) {
    const from = cursor.at;
    const { number, kind, fixedBytes } = splitTag(await cursor.varint());
    const inGraph = graph !== null && from < graph.to;
    const lengthAt = cursor.at;
    const length = kind === 'fixed' ? fixedBytes : await cursor.varint();
    if (kind === 'varint') continue;
    if (!inGraph && kind === 'bytes' && number === MODEL_GRAPH) {
      if (graph) throw new RangeError('the model has two graphs');
      graphLength = { from: lengthAt, to: cursor.at };
      graph = { from: cursor.at, to: cursor.at + length };
    } else if (inGraph && number === GRAPH_OUTPUT) {
      const name = readValueName(await cursor.take(length));
      outputs.push({ from, to: cursor.at, name });
    } else if (!inGraph && number === MODEL_OPSET) {
      const [domain, version] = readOpset(await cursor.take(length));
      opsets.set(domain, version);
    } else await cursor.skip(length);
  }
  if (!graph || !graphLength) throw new RangeError('the file has no ONNX graph');
  if (graph.to > cursor.at) throw new RangeError('the graph is longer than its file');
  return { bytes: cursor.at, graphLength, graph, outputs, opsets };
}

/** Bytes that are read when their turn comes. */
export type Lazy = { readonly byteLength: number; readonly read: () => Chunks };
/** Bytes `from`…`to` are replaced by `put`. */
export type Edit = Span & { readonly put: readonly (Uint8Array | Lazy)[] };

/** Bytes of a file after its edits. */
export function splicedBytes(bytes: number, edits: readonly Edit[]): number {
  return edits.reduce((sum, edit) => sum - (edit.to - edit.from) + edit.put.reduce((more, part) => more + part.byteLength, 0), bytes);
}

async function* chunksOf(put: Edit['put']): AsyncGenerator<Uint8Array> {
  for (const part of put) {
    if (part instanceof Uint8Array) yield part;
    else yield* part.read();
  }
}

/** The chunks of a file with its edits carried out; they must be in order and not overlap. */
export async function* spliced(chunks: Chunks, edits: readonly Edit[]): AsyncGenerator<Uint8Array> {
  const waiting = [...edits];
  let at = 0;
  for await (const chunk of chunks) {
    const end = at + chunk.byteLength;
    let done = at;
    for (let edit = waiting[0]; edit && edit.from < end; edit = waiting[0]) {
      if (edit.from > done) yield chunk.subarray(done - at, edit.from - at);
      if (edit.from >= at) yield* chunksOf(edit.put);
      done = Math.min(edit.to, end);
      if (edit.to > end) break;
      waiting.shift();
    }
    if (done < end) yield chunk.subarray(done - at);
    at = end;
  }
  for (const edit of waiting) if (edit.from >= at) yield* chunksOf(edit.put);
}
