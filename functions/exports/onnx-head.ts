/**
 * A head as an ONNX graph of opset 17: embedding [N, d] (and `tuned` [N, d] when a component reads it) → logits, probabilities, unknown and, when there
 * are enrolled rows, the nearest one. The operators used mean the same in every opset from 17 on, so the graph may be appended to a newer one.
 */
import { KERNEL_POWER, type Head, type Standardisation, type Support } from '../../shared/head.ts';
import { embeddingsOf, factorOverAll, headParts, sameFeature, type Feature } from '../../shared/head-parts.ts';
import { bytesField, concat, intField, messageField, textField } from './protobuf.ts';

export const HEAD_OPSET = 17;
/** ONNX 1.12, the first with opset 17. */
const IR_VERSION = 8;
const PRODUCER = 'graft';
const TYPE = { float: 1, int64: 7, bool: 9 } as const;
/** Norms below this count as zero; it keeps a zero vector zero, as scoring does. */
const NORM_MIN = 1e-18;
/** Less than every finite score, so a head without an open-set rule never says unknown. */
const NEVER = -3.4e38;

/** Field numbers of onnx.proto's GraphProto; `fields` are whole fields, tags included. */
export type GraphPart = {
  readonly nodes: readonly Uint8Array[];
  readonly initializers: readonly Uint8Array[];
  readonly outputs: readonly Uint8Array[];
};
type Attribute = { readonly name: string; readonly int: number };

function tensorField(name: string, shape: readonly number[], data: Float32Array | BigInt64Array): Uint8Array {
  const type = data instanceof Float32Array ? TYPE.float : TYPE.int64;
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return messageField(5, [...shape.map((side) => intField(1, side)), intField(2, type), textField(8, name), bytesField(9, raw)]);
}

/** GraphProto.input (11) or .output (12) with the shape [N, …]. */
function valueField(field: 11 | 12, name: string, type: keyof typeof TYPE, sides: readonly number[]): Uint8Array {
  const batch = messageField(1, [textField(2, 'N')]);
  const shape = messageField(2, [batch, ...sides.map((side) => messageField(1, [intField(1, side)]))]);
  return messageField(field, [textField(1, name), messageField(2, [messageField(1, [intField(1, TYPE[type]), shape])])]);
}

/** Collects nodes and initializers; every name that is not an output starts with `head/`, so that it meets no other graph's. */
class GraphBuilder {
  readonly nodes: Uint8Array[] = [];
  readonly initializers: Uint8Array[] = [];

  tensor(shape: readonly number[], data: Float32Array | BigInt64Array): string {
    const name = `head/tensor_${this.initializers.length}`;
    this.initializers.push(tensorField(name, shape, data));
    return name;
  }

  scalar(value: number): string {
    return this.tensor([], Float32Array.of(value));
  }

  node(op: string, inputs: readonly string[], more: { outputs?: readonly string[]; attributes?: readonly Attribute[] } = {}): string {
    const name = `head/${op}_${this.nodes.length}`;
    const outputs = more.outputs ?? [name];
    const attributes = (more.attributes ?? []).map(({ name: key, int }) => messageField(5, [textField(1, key), intField(3, int), intField(20, 2)]));
    const names = [...inputs.map((input) => textField(1, input)), ...outputs.map((output) => textField(2, output))];
    this.nodes.push(messageField(1, [...names, textField(3, name), textField(4, op), ...attributes]));
    return outputs[0]!;
  }

  /** x / ‖x‖, row by row; a zero row stays zero. */
  unit(x: string): string {
    const squares = this.node('ReduceSum', [this.node('Mul', [x, x]), this.tensor([1], BigInt64Array.of(1n))]);
    const norm = this.node('Max', [this.node('Sqrt', [squares]), this.scalar(NORM_MIN)]);
    return this.node('Div', [x, norm]);
  }

  /** ((x − mean) · scale, constant): [N, d] → [N, d + 1]. */
  standardise(x: string, { mean, scale, constant }: Standardisation): string {
    const d = mean.length;
    const scaled = this.node('Mul', [this.node('Sub', [x, this.tensor([d], mean)]), this.tensor([d], scale)]);
    return this.node('Pad', [scaled, this.tensor([4], BigInt64Array.of(0n, 0n, 0n, 1n)), this.scalar(constant)]);
  }

  /** [N, d] · rowsᵀ (+ bias). */
  linear(x: string, rows: Float32Array, count: number, bias: Float32Array | null): string {
    const inputs = [x, this.tensor([count, rows.length / count], rows), ...(bias ? [this.tensor([count], bias)] : [])];
    return this.node('Gemm', inputs, { attributes: [{ name: 'transB', int: 1 }] });
  }

  /** ((1 + x) / 2)^power of each value. */
  kernel(cosines: string, power: number): string {
    const half = this.scalar(0.5);
    return this.node('Pow', [this.node('Add', [this.node('Mul', [cosines, half]), half]), this.scalar(power)]);
  }

  /** To the support rows, [N, rows]. */
  cosines(feature: string, { basis, dimension, rows, labelOf }: Support): string {
    const unit = this.unit(feature);
    const seen = basis ? this.linear(unit, basis, basis.length / dimension, null) : unit;
    return this.linear(seen, rows, labelOf.length, null);
  }

  /** 1 − ‖F·κ‖², [N, 1] (novelty.ts). */
  variance(cosines: string, support: Support): string {
    const { factor, side } = factorOverAll(support);
    const z = this.linear(this.kernel(cosines, KERNEL_POWER), factor, side, null);
    return this.node('Sub', [this.scalar(1), this.node('ReduceSum', [this.node('Mul', [z, z]), this.tensor([1], BigInt64Array.of(1n))])]);
  }

  /** Largest value of each row and its index (the first of equals), both [N, 1]. TopK, because ReduceMax changes its form in opset 18. */
  largest(x: string): { value: string; index: string } {
    const at = this.nodes.length;
    const [value, index] = [`head/largest_${at}`, `head/largest_index_${at}`];
    this.node('TopK', [x, this.tensor([1], BigInt64Array.of(1n))], { outputs: [value, index], attributes: [{ name: 'axis', int: 1 }] });
    return { value, index };
  }

  /** [N, 1] → [N], as the graph's output `name`. */
  column(x: string, name: string): void {
    this.node('Squeeze', [x, this.tensor([1], BigInt64Array.of(1n))], { outputs: [name] });
  }
}

/** Nodes, initializers and outputs that compute a head's answer from tensors of the names given. */
export function headGraph(head: Head, inputs: { readonly base: string; readonly tuned: string }): GraphPart {
  const parts = headParts(head);
  const g = new GraphBuilder();
  const { standardisation: by } = parts;
  const read = { ...inputs, base: by ? g.standardise(inputs.base, by) : inputs.base };
  const made: { feature: Feature; name: string }[] = [];
  const feature = (f: Feature): string => {
    const found = made.find((m) => sameFeature(m.feature, f));
    if (found) return found.name;
    const x = read[f.embedding];
    const unit = g.unit(f.transform === 'sqrt_l2' ? g.node('Sqrt', [g.node('Relu', [x])]) : x);
    const name = f.center.some((value) => value !== 0) ? g.node('Sub', [unit, g.tensor([f.dimension], f.center)]) : unit;
    made.push({ feature: f, name });
    return name;
  };
  const labels = head.labels.length;
  const { support } = parts;
  const cosines = support && g.cosines(feature(support), support);
  const scores = parts.linear.map((part) => g.linear(feature(part.feature), part.weight, labels, part.bias));
  for (const part of parts.kernel) scores.push(g.linear(g.kernel(cosines!, part.power), part.weight, labels, part.bias));
  const raw = scores.reduce((sum, score) => g.node('Add', [sum, score]));
  const logits = g.node('Mul', [raw, g.scalar(parts.scale)], { outputs: ['logits'] });
  if (head.task === 'multi_label') g.node('Sigmoid', [logits], { outputs: ['probabilities'] });
  else g.node('Softmax', [logits], { outputs: ['probabilities'], attributes: [{ name: 'axis', int: 1 }] });
  const outputs = [
    valueField(12, 'logits', 'float', [labels]),
    valueField(12, 'probabilities', 'float', [labels]),
    valueField(12, 'unknown', 'bool', []),
  ];

  let margin = g.largest(raw).value;
  const rule = head.openSet;
  if (rule) margin = g.node('Mul', [margin, g.scalar(rule.bestWeight)]);
  if (support && cosines) {
    const near = g.largest(cosines);
    const labelOf = g.tensor([support.labelOf.length], BigInt64Array.from(support.labelOf, BigInt));
    g.column(g.node('Gather', [labelOf, near.index]), 'nearest');
    g.column(near.value, 'nearest_similarity');
    outputs.push(valueField(12, 'nearest', 'int64', []), valueField(12, 'nearest_similarity', 'float', []));
    if (rule) margin = g.node('Sub', [margin, g.node('Mul', [g.variance(cosines, support), g.scalar(rule.varianceWeight)])]);
  }
  g.column(g.node('Less', [margin, g.scalar(rule?.threshold ?? NEVER)]), 'unknown');
  return { nodes: g.nodes, initializers: g.initializers, outputs };
}

/** ModelProto.metadata_props (14), one entry a pair. */
export function metadataFields(metadata: Readonly<Record<string, string>>): Uint8Array[] {
  return Object.entries(metadata).map(([key, value]) => messageField(14, [textField(1, key), textField(2, value)]));
}

/** A head alone as an ONNX file. Throws RangeError when the head has no component. */
export function encodeOnnxHead(head: Head, metadata: Readonly<Record<string, string>>): Uint8Array {
  const graph = headGraph(head, { base: 'embedding', tuned: 'tuned' });
  const inputs = embeddingsOf(headParts(head)).map(({ name, dimension }) =>
    valueField(11, name === 'base' ? 'embedding' : 'tuned', 'float', [dimension]),
  );
  const body = [...graph.nodes, textField(2, 'graft-head'), ...graph.initializers, ...inputs, ...graph.outputs];
  const opset = messageField(8, [textField(1, ''), intField(2, HEAD_OPSET)]);
  return concat([intField(1, IR_VERSION), textField(2, PRODUCER), messageField(7, body), opset, ...metadataFields(metadata)]);
}
