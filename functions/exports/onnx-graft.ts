/**
 * A graph that is appended to another one. Its nodes and names are held and get a prefix; weights inside the file that are large stay there and pass
 * through while the merged file is sent, so a network of 20 MB costs an isolate no memory.
 */
import { renameNode, renameTensor } from './onnx-names.ts';
import { readOpset, readValueName, type Lazy } from './onnx-scan.ts';
import { bytesField, bytesHeader, concat, splitTag, varint } from './protobuf.ts';
import { Cursor, readVerified, type SourceFile } from './streams.ts';

/** A field of a tensor above this is left in the file. */
const LARGE_BYTES = 65_536;
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, sparse: 15 } as const;
const MODEL = { graph: 7, opset: 8, functions: 25 } as const;

type Left = { readonly header: Uint8Array; readonly from: number; readonly to: number };
/** TensorProto: its small fields as a message, and the large ones by where they lie. */
type Tensor = { readonly small: Uint8Array; readonly left: readonly Left[] };
export type Graftable = {
  readonly file: SourceFile;
  readonly nodes: readonly Uint8Array[];
  readonly tensors: readonly Tensor[];
  readonly input: string;
  readonly output: string;
  readonly opsets: ReadonlyMap<string, number>;
};

/** Reads a graph's file to its end, checking its digest. Throws RangeError when it is not one graph of one input and one output. */
export async function readGraft(file: SourceFile): Promise<Graftable> {
  const cursor = new Cursor(readVerified(file));
  try {
    return await walk(cursor, file);
  } finally {
    await cursor.close();
  }
}

async function walk(cursor: Cursor, file: SourceFile): Promise<Graftable> {
  const nodes: Uint8Array[] = [];
  const tensors: Tensor[] = [];
  const ends: Record<number, string[]> = { [GRAPH.input]: [], [GRAPH.output]: [] };
  const opsets = new Map<string, number>();
  let graphEnd = -1;
  while (!(await cursor.ended())) {
    const inGraph = cursor.at < graphEnd;
    const { number, kind, fixedBytes } = splitTag(await cursor.varint());
    const length = kind === 'fixed' ? fixedBytes : await cursor.varint();
    if (kind === 'varint') continue;
    if (!inGraph && number === MODEL.graph) graphEnd = cursor.at + length;
    else if (!inGraph && number === MODEL.functions) throw new RangeError('a graph with functions of its own cannot be merged');
    else if (!inGraph && number === MODEL.opset) opsets.set(...readOpset(await cursor.take(length)));
    else if (inGraph && number === GRAPH.sparse) throw new RangeError('a graph with sparse weights cannot be merged');
    else if (inGraph && number === GRAPH.node) nodes.push(await cursor.take(length));
    else if (inGraph && number === GRAPH.initializer) tensors.push(await readTensor(cursor, length));
    else if (inGraph && ends[number]) ends[number].push(readValueName(await cursor.take(length)));
    else await cursor.skip(length);
  }
  const only = (number: number): string => {
    const [name, ...more] = ends[number] ?? [];
    if (name === undefined || more.length > 0) throw new RangeError('a graph of one input and one output is expected');
    return name;
  };
  if (graphEnd < 0) throw new RangeError('the file has no ONNX graph');
  return { file, nodes, tensors, input: only(GRAPH.input), output: only(GRAPH.output), opsets };
}

async function readTensor(cursor: Cursor, length: number): Promise<Tensor> {
  if (length <= LARGE_BYTES) return { small: await cursor.take(length), left: [] };
  const end = cursor.at + length;
  const small: Uint8Array[] = [];
  const left: Left[] = [];
  while (cursor.at < end) {
    const tag = await cursor.varint();
    const { number, kind, fixedBytes } = splitTag(tag);
    const value = kind === 'fixed' ? fixedBytes : await cursor.varint();
    if (!Number.isSafeInteger(value)) throw new RangeError('a number of a large tensor is out of range');
    if (kind === 'bytes' && value > LARGE_BYTES) {
      left.push({ header: bytesHeader(number, value), from: cursor.at, to: cursor.at + value });
      await cursor.skip(value);
    } else if (kind === 'varint') small.push(varint(tag), varint(value));
    else if (kind === 'bytes') small.push(varint(tag), varint(value), await cursor.take(value));
    else small.push(varint(tag), await cursor.take(value));
  }
  return { small: concat(small), left };
}

export type Naming = {
  /** Before each of its inner names, with the `/`. */
  readonly prefix: string;
  readonly input: string;
  readonly output: string;
  /** Name of its weights' file beside the merged graph; null when the weights are inside. */
  readonly data: string | null;
};

/** The graph's nodes and initializers, whole fields of a GraphProto, under their names in the merged graph. */
export function graft(graph: Graftable, to: Naming): { nodes: Uint8Array[]; initializers: (Uint8Array | Lazy)[] } {
  const renamed = new Map([
    ['', ''],
    [graph.input, to.input],
    [graph.output, to.output],
  ]);
  const rename = (name: string): string => renamed.get(name) ?? to.prefix + name;
  const nodes = graph.nodes.map((node) => bytesField(GRAPH.node, renameNode(node, rename, to.prefix, to.data)));
  const tensors = graph.tensors.map(({ small, left }) => {
    const message = renameTensor(small, rename, to.data);
    const inside = left.reduce((sum, { header, from, to: end }) => sum + header.byteLength + end - from, message.byteLength);
    return { head: concat([bytesHeader(GRAPH.initializer, inside), message]), left };
  });
  if (tensors.every(({ left }) => left.length === 0)) return { nodes, initializers: tensors.map(({ head }) => head) };
  const byteLength = tensors.reduce(
    (sum, { head, left }) => sum + head.byteLength + left.reduce((more, { header, from, to: end }) => more + header.byteLength + end - from, 0),
    0,
  );
  return { nodes, initializers: [{ byteLength, read: () => passing(graph.file, tensors) }] };
}

/** The tensors one after the other, the large parts read from the file again and checked by its digest once more. */
async function* passing(file: SourceFile, tensors: readonly { head: Uint8Array; left: readonly Left[] }[]): AsyncGenerator<Uint8Array> {
  const cursor = new Cursor(readVerified(file));
  try {
    for (const { head, left } of tensors) {
      yield head;
      for (const { header, from, to } of left) {
        yield header;
        await cursor.skip(from - cursor.at);
        yield* cursor.pass(to - from);
      }
    }
    await cursor.skip(file.bytes - cursor.at);
    await cursor.ended();
  } finally {
    await cursor.close();
  }
}
