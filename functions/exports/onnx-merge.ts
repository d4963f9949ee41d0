/**
 * One ONNX graph out of three: a trunk that is copied byte by byte, tails that are appended with their names prefixed, and a head. Nodes of an ONNX
 * graph are in the order of their work, so what reads another's output only has to come after it.
 */
import { GraftError } from '../../shared/errors.ts';
import type { Head } from '../../shared/head.ts';
import { HEAD_OPSET, headGraph, metadataFields } from './onnx-head.ts';
import { readOpset, readValueName, type Edit, type ModelLayout } from './onnx-scan.ts';
import { bytesField, concat, fieldsOf, intField, messageField, textField, textOf, varint, type Field } from './protobuf.ts';

/** A tail's file in memory (a few MB at most), and what it is called in the merged graph. */
export type Tail = {
  readonly bytes: Uint8Array;
  /** Before each of its inner names, with the `/`. */
  readonly prefix: string;
  /** Name of the embedding that it gives. */
  readonly output: string;
  /** Name of its weights' file beside the merged graph; null when the weights are inside. */
  readonly data: string | null;
};
type Grafted = { readonly nodes: Uint8Array[]; readonly initializers: Uint8Array[]; readonly opsets: ReadonlyMap<string, number> };

const copy = (field: Field): Uint8Array => field.raw;

/** A message with some of its fields written anew; `change` answers the new field, or null to leave it out. */
export function rewrite(message: Uint8Array, change: (field: Field) => Uint8Array | null): Uint8Array {
  return concat([...fieldsOf(message)].flatMap((field) => change(field) ?? []));
}

/** TensorProto: its name (8) and where its weights are (13, an entry `location`). */
export function renameTensor(tensor: Uint8Array, rename: (name: string) => string, data: string | null): Uint8Array {
  return rewrite(tensor, (field) => {
    if (field.number === 8) return textField(8, rename(textOf(field)));
    if (field.number !== 13) return copy(field);
    const isLocation = [...fieldsOf(field.bytes)].some((part) => part.number === 1 && textOf(part) === 'location');
    if (!isLocation) return copy(field);
    if (data === null) throw new RangeError('the graph refers to a file of weights that it does not have');
    return messageField(13, [textField(1, 'location'), textField(2, data)]);
  });
}

/** AttributeProto: tensors in it may have their weights outside; graphs in it would have names of their own. */
function renameAttribute(attribute: Uint8Array, data: string | null): Uint8Array {
  return rewrite(attribute, (field) => {
    if (field.number === 6 || field.number === 11) throw new RangeError('a graph with inner graphs cannot be merged');
    return field.number === 5
      ? bytesField(
          5,
          renameTensor(field.bytes, (name) => name, data),
        )
      : copy(field);
  });
}

/** NodeProto: inputs (1), outputs (2), name (3), attributes (5). */
export function renameNode(node: Uint8Array, rename: (name: string) => string, prefix: string, data: string | null): Uint8Array {
  return rewrite(node, (field) => {
    if (field.number === 1 || field.number === 2) return textField(field.number, rename(textOf(field)));
    if (field.number === 3) return textField(3, prefix + textOf(field));
    return field.number === 5 ? bytesField(5, renameAttribute(field.bytes, data)) : copy(field);
  });
}

/** A tail's nodes and initializers under their names in the merged graph; its input is `input`. */
function graft(tail: Tail, input: string): Grafted {
  const model = [...fieldsOf(tail.bytes)];
  if (model.some((field) => field.number === 25)) throw new RangeError('a graph with functions of its own cannot be merged');
  const graph = [...fieldsOf(model.find((field) => field.number === 7)?.bytes ?? new Uint8Array(0))];
  const only = (number: number): string => {
    const found = graph.filter((field) => field.number === number);
    if (found.length !== 1) throw new RangeError(`the graph has ${found.length} inputs or outputs where one is expected`);
    return readValueName(found[0]!.bytes);
  };
  const renamed = new Map([
    ['', ''],
    [only(11), input],
    [only(12), tail.output],
  ]);
  const rename = (name: string): string => renamed.get(name) ?? tail.prefix + name;
  const all = (number: number): Field[] => graph.filter((field) => field.number === number);
  if (all(15).length > 0) throw new RangeError('a graph with sparse weights cannot be merged');
  return {
    nodes: all(1).map((field) => bytesField(1, renameNode(field.bytes, rename, tail.prefix, tail.data))),
    initializers: all(5).map((field) => bytesField(5, renameTensor(field.bytes, rename, tail.data))),
    opsets: new Map(model.filter((field) => field.number === 8).map((field) => readOpset(field.bytes))),
  };
}

/**
 * What turns the trunk's file into the whole model: its outputs go, tails and head come.
 * @throws GraftError `unprocessable` when trunk and tail were made for different operator sets
 * @throws RangeError when a file is not a graph of one input and one output
 */
export function mergeEdits(trunk: ModelLayout, tails: readonly Tail[], head: Head, metadata: Readonly<Record<string, string>>): Edit[] {
  const [features] = trunk.outputs;
  if (!features) throw new RangeError('the trunk has no output');
  const opsets = new Map(trunk.opsets);
  const grafted = tails.map((tail) => graft(tail, features.name));
  for (const [domain, version] of grafted.flatMap((part) => [...part.opsets])) {
    const held = opsets.get(domain) ?? version;
    opsets.set(domain, held);
    if (held !== version)
      throw new GraftError('unprocessable', `The backbone's graphs use versions ${held} and ${version} of one operator set; export with part=head.`);
  }
  const onnx = opsets.get('') ?? 0;
  if (onnx < HEAD_OPSET)
    throw new GraftError('unprocessable', `The backbone's graph uses ONNX opset ${onnx}, the head needs ${HEAD_OPSET}; export with part=head.`);
  const top = headGraph(head, { base: 'embedding', tuned: 'tuned' });
  const nodes = [...grafted.flatMap((part) => part.nodes), ...top.nodes];
  const added = [...nodes, ...grafted.flatMap((part) => part.initializers), ...top.initializers, ...top.outputs];
  const moreOpsets = [...opsets].filter(([domain]) => !trunk.opsets.has(domain));
  const imports = moreOpsets.map(([domain, version]) => messageField(8, [textField(1, domain), intField(2, version)]));
  const dropped = trunk.outputs.map(({ from, to }) => ({ from, to, put: [] }));
  const removedBytes = dropped.reduce((sum, { from, to }) => sum + to - from, 0);
  const addedBytes = added.reduce((sum, part) => sum + part.byteLength, 0);
  const length = varint(trunk.graph.to - trunk.graph.from - removedBytes + addedBytes);
  return [
    { ...trunk.graphLength, put: [length] },
    ...dropped,
    { from: trunk.graph.to, to: trunk.graph.to, put: added },
    { from: trunk.bytes, to: trunk.bytes, put: [...imports, ...metadataFields(metadata)] },
  ];
}
