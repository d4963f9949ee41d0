/**
 * One ONNX graph out of several: a trunk that is copied byte by byte, graphs that are appended with their names prefixed, and a head. Nodes of an ONNX
 * graph are in the order of their work, so what reads another's output only has to come after it.
 */
import { GraftError } from '../../shared/errors.ts';
import type { Head } from '../../shared/head.ts';
import { graft, type Graftable, type Naming } from './onnx-graft.ts';
import { HEAD_OPSET, headGraph, metadataFields } from './onnx-head.ts';
import type { Edit, ModelLayout } from './onnx-scan.ts';
import { intField, messageField, textField, varint } from './protobuf.ts';

/** A graph and what it is called in the merged one; its `input` is null where that is what the trunk gives. */
export type Part = { readonly graph: Graftable; readonly as: Omit<Naming, 'input'> & { readonly input: string | null } };

/**
 * What turns the trunk's file into the whole model: its outputs go, the parts in their order and the head come.
 * @throws GraftError `unprocessable` when trunk and tail were made for different operator sets
 * @throws RangeError when a file is not a graph of one input and one output
 */
export function mergeEdits(trunk: ModelLayout, parts: readonly Part[], head: Head, metadata: Readonly<Record<string, string>>): Edit[] {
  const [features] = trunk.outputs;
  if (!features) throw new RangeError('the trunk has no output');
  const opsets = new Map(trunk.opsets);
  const grafted = parts.map(({ graph, as }) => graft(graph, { ...as, input: as.input ?? features.name }));
  for (const [domain, version] of parts.flatMap(({ graph }) => [...graph.opsets])) {
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
