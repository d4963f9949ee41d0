/** A candidate for the catalogue, run once in the isolate where it would serve: what it gives, whether twice the same, and what it takes. */
import { GraftError } from '../../shared/errors.ts';
import { BACKBONE_EDGE_MAX_MEMORY_BYTES, BACKBONE_EDGE_MAX_MILLISECONDS, IMAGE_SQUARE_SIDE_PX } from '../../shared/limits.ts';
import type { Measured } from '../../shared/catalogue.ts';
import type { NewBackbone } from '../../shared/wire/backbones.ts';
import { networkInputDims, toNetworkInput } from '../../shared/preprocess/pixels.ts';
import { Graph } from './graph.ts';
import { ort, ortMemoryBytes } from './ort.ts';

export type Candidate = {
  readonly preprocessing: NewBackbone['preprocessing'];
  /** ONNX files; both are copied, because the runtime takes its bytes away. */
  readonly model: Uint8Array;
  readonly tail: Uint8Array;
};
export type Trial = { readonly dimension: number; readonly measured: Measured };

const refused = (detail: string, cause?: unknown): GraftError => new GraftError('unprocessable', detail, { param: 'onnx', cause });
const open = async (model: Uint8Array): Promise<Graph> => await Graph.open({ model: Uint8Array.from(model), data: null });

/** Two inputs of the modality that have nothing in common. */
function probes({ preprocessing: p }: Candidate): [ort.Tensor, ort.Tensor] {
  if (p.kind === 'image') {
    const side = IMAGE_SQUARE_SIDE_PX;
    const picture = (pixel: (i: number) => number): ort.Tensor => {
      const pixels = Uint8Array.from({ length: side * side * 3 }, (_, i) => pixel(i));
      return new ort.Tensor('float32', toNetworkInput(pixels, { ...p, square_px: side }), networkInputDims({ ...p, square_px: side }));
    };
    // A diagonal gradient with a chequered blue, and noise of Knuth's multiplicative hash.
    return [
      picture((i) => (i % 3 === 2 ? ((i >> 5) & 1) * 200 : (i / 3 / side + (i % (3 * side)) / 3) / 2)),
      picture((i) => (Math.imul(i, 2_654_435_761) >>> 13) & 255),
    ];
  }
  const tokens = (ids: readonly number[]): ort.Tensor => new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]);
  // [CLS] … [SEP] of the shipped vocabulary: one short text, and one of full length.
  return [tokens([101, 2023, 102]), tokens([101, ...Array.from({ length: p.max_tokens - 2 }, (_, i) => 2_000 + ((i * 37) % 5_000)), 102])];
}

async function run(graph: Graph, input: ort.Tensor): Promise<{ values: Float32Array; dims: readonly number[] }> {
  let tensor: ort.Tensor;
  try {
    tensor = await graph.run(input);
  } catch (cause) {
    throw refused(`The network does not run on its input of shape [${input.dims.join(', ')}]: ${reasonOf(cause)}`, cause);
  }
  const { data, dims } = tensor;
  if (!(data instanceof Float32Array)) throw refused(`The network gives ${tensor.type}, where float32 is expected.`);
  return { values: Float32Array.from(data), dims };
}

/** The runtime's words, which are about the operator's own file. */
const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause)).slice(0, 300);

function judge(outputs: readonly { values: Float32Array; dims: readonly number[] }[]): number {
  const [first, again, other] = outputs as [(typeof outputs)[0], (typeof outputs)[0], (typeof outputs)[0]];
  const sides = first.dims.filter((side) => side !== 1);
  if (sides.length > 1 || first.dims[0] !== 1)
    throw refused(`The network gives the shape [${first.dims.join(', ')}]; it has to be pooled to one vector, [1, dimension].`);
  if (!outputs.every(({ values }) => values.every(Number.isFinite))) throw refused('The network gives values that are not finite.');
  if (!first.values.every((value, i) => value === again.values[i])) throw refused('The network gives another output for the same input.');
  if (other.values.length !== first.values.length) throw refused('The length of the output changes with the input.');
  if (first.values.every((value, i) => value === other.values[i])) throw refused('The network gives the same output for different inputs.');
  return first.values.length;
}

/** What earlier trials left free inside the runtime's memory, which never shrinks: a later network may live there without making it grow. */
let leftFree = 0;

/** Bounds of what the network took; throws when they are on both sides of the limit. */
function memoryTaken(grown: number, fileBytes: number): { bytes: number; fits: boolean } {
  const least = Math.max(grown, fileBytes);
  const most = Math.max(least, leftFree + grown);
  if (least <= BACKBONE_EDGE_MAX_MEMORY_BYTES && most > BACKBONE_EDGE_MAX_MEMORY_BYTES)
    throw new GraftError(
      'unavailable',
      'Earlier candidates have stretched the memory of this isolate, so what this one takes cannot be measured here. Try again later, in a fresh one.',
    );
  return { bytes: most, fits: least <= BACKBONE_EDGE_MAX_MEMORY_BYTES };
}

/**
 * Opens and runs a candidate. Must not overlap with other sessions' work, and what the edge serves must be open already, or its memory is counted.
 * @throws GraftError `unprocessable` that says what is wrong with it
 */
export async function tryOut(candidate: Candidate): Promise<Trial> {
  const inputs = probes(candidate);
  const tail = await open(candidate.tail);
  let trunk: Graph | null = null;
  const before = ortMemoryBytes();
  try {
    try {
      trunk = await open(candidate.model);
    } catch (cause) {
      throw refused(`The network cannot be opened: ${reasonOf(cause)}`, cause);
    }
    const outputs = [await run(trunk, inputs[0]), await run(trunk, inputs[0]), await run(trunk, inputs[1])];
    const dimension = judge(outputs);
    const started = performance.now();
    await tail.run(await trunk.run(inputs[1]));
    const milliseconds = Math.round((performance.now() - started) * 100) / 100;
    const memory = memoryTaken(ortMemoryBytes() - before, candidate.model.byteLength);
    const edge = memory.fits && milliseconds <= BACKBONE_EDGE_MAX_MILLISECONDS;
    return { dimension, measured: { edge, milliseconds, memory_bytes: memory.bytes } };
  } finally {
    await trunk?.close();
    await tail.close();
    leftFree += ortMemoryBytes() - before;
  }
}
