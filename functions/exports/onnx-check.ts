/**
 * What an ONNX file from outside may contain, and the same network under names of our own. The file is read as protobuf, never by the runtime, before
 * it has passed: a closed list of operators, no code of other domains, no graphs inside graphs, no files beside it.
 */
import { GraftError } from '../../shared/errors.ts';
import { renameNode, renameTensor, rewrite } from './onnx-names.ts';
import { readOpset, readValueName } from './onnx-scan.ts';
import { bytesField, fieldsOf, textField, textOf, type Field } from './protobuf.ts';

/**
 * Of ONNX's own domain: what picture and text networks are made of. Left out are control flow (If, Loop, Scan), randomness (an embedding must be
 * repeatable), sequences, optionals and strings, and everything that decodes files.
 */
const OPERATORS: ReadonlySet<string> = new Set(
  `Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast CastLike Ceil Celu Clip Concat Constant ConstantOfShape Conv ConvTranspose CumSum
  DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm
  GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LRN LSTM
  LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul MatMulInteger Max MaxPool Mean Min Mish Mod Mul Neg Not Or
  PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
  ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterND Selu Shape Sigmoid Sign Sin Cos Sqrt Slice Softmax Softplus Softsign
  SpaceToDepth Split Squeeze Sub Sum Swish Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor`.split(/\s+/),
);
const OWN_DOMAINS: ReadonlySet<string> = new Set(['', 'ai.onnx']);
/** Before every name, so that the network meets neither a tail nor a head when a classifier is exported. */
const PREFIX = 'net/';

const MODEL = { graph: 7, opset: 8, training: 20, functions: 25 } as const;
const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12, sparse: 15 } as const;
const ATTRIBUTE = { tensor: 5, graph: 6, tensors: 10, graphs: 11, sparse: 22, sparses: 23 } as const;
const TENSOR = { external: 13, location: 14 } as const;

export type CheckedNetwork = { readonly model: Uint8Array; readonly input: string; readonly output: string; readonly opset: number };

const refused = (detail: string): GraftError => new GraftError('unprocessable', detail, { param: 'onnx' });

function fieldsNumbered(message: Uint8Array, number: number): Field[] {
  return [...fieldsOf(message)].filter((field) => field.number === number);
}

function refuseOutside(tensor: Uint8Array): void {
  for (const field of fieldsOf(tensor))
    if (field.number === TENSOR.external || (field.number === TENSOR.location && field.value !== 0))
      throw refused('The network keeps weights in a file beside it; save it as one file.');
}

function checkNode(node: Uint8Array): void {
  const fields = [...fieldsOf(node)];
  const text = (number: number): string => {
    const field = fields.findLast((one) => one.number === number);
    return field ? textOf(field) : '';
  };
  const [operator, domain] = [text(4), text(7)];
  const shown = `${domain === '' ? '' : `${domain}.`}${operator}`.slice(0, 100);
  if (!OWN_DOMAINS.has(domain)) throw refused(`The operator "${shown}" is of another domain than ONNX's own.`);
  if (!OPERATORS.has(operator)) throw refused(`The operator "${shown}" is not allowed in a backbone.`);
  for (const attribute of fields.filter((field) => field.number === 5))
    for (const part of fieldsOf(attribute.bytes)) {
      if (part.number === ATTRIBUTE.tensor || part.number === ATTRIBUTE.tensors) refuseOutside(part.bytes);
      else if (part.number === ATTRIBUTE.graph || part.number === ATTRIBUTE.graphs) throw refused(`The operator "${shown}" has a graph inside.`);
      else if (part.number === ATTRIBUTE.sparse || part.number === ATTRIBUTE.sparses) throw refused(`The operator "${shown}" has sparse weights.`);
    }
}

function only(names: readonly string[], what: string, hint: string): string {
  const [name] = names;
  if (name === undefined || names.length > 1) throw refused(`The network has ${names.length} ${what}, where one is expected; ${hint}.`);
  return name;
}

function parse(bytes: Uint8Array): CheckedNetwork {
  const graphs = fieldsNumbered(bytes, MODEL.graph);
  const graph = graphs[0]?.bytes;
  if (!graph || graphs.length > 1) throw new RangeError(`the file has ${graphs.length} graphs`);
  if (fieldsNumbered(bytes, MODEL.functions).length > 0) throw refused('The network defines functions of its own; export it without them.');
  if (fieldsNumbered(bytes, MODEL.training).length > 0) throw refused('The network carries training steps; export it for inference.');
  if (fieldsNumbered(graph, GRAPH.sparse).length > 0) throw refused('The network has sparse weights.');
  const opset = new Map(fieldsNumbered(bytes, MODEL.opset).map((field) => readOpset(field.bytes))).get('');
  if (opset === undefined) throw new RangeError('the file names no version of the ONNX operators');
  const nodes = fieldsNumbered(graph, GRAPH.node);
  if (nodes.length === 0) throw new RangeError('the graph has no nodes');
  for (const node of nodes) checkNode(node.bytes);
  const weights = new Set<string>();
  for (const { bytes: tensor } of fieldsNumbered(graph, GRAPH.initializer)) {
    refuseOutside(tensor);
    for (const field of fieldsNumbered(tensor, 8)) weights.add(textOf(field));
  }
  const names = (number: number): string[] => fieldsNumbered(graph, number).map((field) => readValueName(field.bytes));
  const inputs = names(GRAPH.input).filter((name) => !weights.has(name));
  const input = only(inputs, 'inputs', 'pictures go in as one tensor, texts as token ids');
  const output = only(names(GRAPH.output), 'outputs', 'export the pooled features alone');
  return { model: renamed(bytes), input: PREFIX + input, output: PREFIX + output, opset };
}

/** The model with `net/` before every name. Notes and inferred shapes go; the runtime infers the shapes again. */
function renamed(model: Uint8Array): Uint8Array {
  const rename = (name: string): string => (name === '' ? '' : PREFIX + name);
  const value = (field: Field): Uint8Array =>
    bytesField(
      field.number,
      rewrite(field.bytes, (part) => (part.number === 1 ? textField(1, rename(textOf(part))) : part.raw)),
    );
  const graph = (bytes: Uint8Array): Uint8Array =>
    rewrite(bytes, (field) => {
      if (field.number === GRAPH.node) return bytesField(GRAPH.node, renameNode(field.bytes, rename, PREFIX, null));
      if (field.number === GRAPH.initializer) return bytesField(GRAPH.initializer, renameTensor(field.bytes, rename, null));
      if (field.number === GRAPH.input || field.number === GRAPH.output) return value(field);
      return field.number === GRAPH.name ? field.raw : null;
    });
  const kept: ReadonlySet<number> = new Set([1, MODEL.opset]);
  return rewrite(model, (field) => {
    if (field.number === MODEL.graph) return bytesField(MODEL.graph, graph(field.bytes));
    return kept.has(field.number) ? field.raw : null;
  });
}

/**
 * Reads a whole ONNX file and answers it under names of our own.
 * @throws GraftError `unprocessable` that says what is in it that may not be
 */
export function checkNetwork(bytes: Uint8Array): CheckedNetwork {
  try {
    return parse(bytes);
  } catch (cause) {
    if (cause instanceof GraftError) throw cause;
    throw new GraftError('unprocessable', 'The file is not an ONNX network that can be read.', { param: 'onnx', cause });
  }
}
