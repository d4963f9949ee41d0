/**
 * From bytes or text to embeddings: decode → trunk → base tail → tuned tail (a whole tuned network: its own trunk → its own tail). This is the one place where a network runs. Whatever is needed is
 * buffered before the first await, and input tensors belong to one request: state shared across awaits breaks under concurrency.
 */
import imgdecWasm from '../../shared/preprocess/imgdec.wasm';
import { SHIPPED_BACKBONES, isShipped, type BackboneManifest } from '../../shared/catalogue.ts';
import { GraftError } from '../../shared/errors.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { makeDecoder } from '../../shared/preprocess/decoder.ts';
import { networkInputDims, toNetworkInput } from '../../shared/preprocess/pixels.ts';
import { makeTokenizer, type Tokenizer } from '../../shared/preprocess/wordpiece.ts';
import { graphSource, type Catalogue } from './catalogue.ts';
import { giveBack } from './give-back.ts';
import { Graph, readGraph, type Read } from './graph.ts';
import { ort, ortMemoryBytes } from './ort.ts';
import { outlive } from './outlive.ts';
import { RunQueue } from './run-queue.ts';
import { tryOut, type Candidate, type Trial } from './trial.ts';
import { TunedNetworks, type FindNetwork, type NetworkSource, type TunedNetwork } from './tuned-networks.ts';

export type EncoderInput =
  | { readonly kind: 'image'; readonly bytes: Uint8Array }
  | { readonly kind: 'text'; readonly text: string }
  /** A picture as datasets are frozen: 256² RGB bytes. */
  | { readonly kind: 'square'; readonly pixels: Uint8Array }
  /** A text as datasets are frozen: ids with [CLS] and [SEP]; all text backbones share one vocabulary. */
  | { readonly kind: 'tokens'; readonly ids: ArrayLike<number> };
export type EncodeOn = {
  /** Id in the catalogue. */
  readonly backbone: string;
  /** `mdl_…` whose tail, or whole network, gives the tuned embedding; null for none. */
  readonly model: string | null;
};
/** Raw embeddings (no transform), float32 [dimension]; times in milliseconds. `queue` is the wait for other runs. */
export type Encoded = {
  readonly base: Float32Array;
  readonly tuned: Float32Array | null;
  readonly timings: { readonly decode: number; readonly embed: number; readonly queue: number };
};

export interface Encoder {
  /** Throws GraftError: those of the decoder, `unknown_backbone`, `unavailable` when files are missing or damaged, `text_invalid`. */
  encode(input: EncoderInput, on: EncodeOn): Promise<Encoded>;
  /** Runs a network that is no backbone yet, beside the shipped ones. */
  tryOut(candidate: Candidate): Promise<Trial>;
  memory(): {
    readonly runtimeBytes: number;
    readonly decoderBytes: number;
    /** Models whose tails or networks are held. */ readonly tails: readonly string[];
  };
}

/** Graphs of a backbone; of an added one both are null, because it is opened when it is used. */
type Opened = { readonly manifest: BackboneManifest; readonly graphs: { trunk: Graph; tail: Graph } | null; readonly tokenize: Tokenizer | null };

const ADDED = 'added:';

export function makeEncoder(parts: { catalogue: Catalogue; read: Read; findNetwork: FindNetwork }): Encoder {
  const { catalogue, read } = parts;
  const queue = new RunQueue();
  const decoder = makeDecoder(imgdecWasm);
  /** Networks of models, and, with ADDED before their id, added backbones: one budget. */
  const networks = new TunedNetworks(
    read,
    async (id) => await (id.startsWith(ADDED) ? findAdded(id.slice(ADDED.length)) : parts.findNetwork(id)),
    queue,
  );
  const opened = new Map<string, Promise<Opened>>();

  async function findAdded(id: string): Promise<NetworkSource | null> {
    const manifest = await catalogue.get(id);
    return manifest && { trunk: null, tail: graphSource(manifest.trunk) };
  }

  async function open(id: string): Promise<Opened> {
    const manifest = await catalogue.get(id);
    if (!manifest) throw unknown(id);
    // The picture backbone first: opened second it finds the memory torn and needs more of it.
    if (id !== SHIPPED_BACKBONES.image && (await catalogue.get(SHIPPED_BACKBONES.image))) await backbone(SHIPPED_BACKBONES.image);
    const graphs = isShipped(id) ? { trunk: await openGraph(manifest.trunk), tail: await openGraph(manifest.tail) } : null;
    return { manifest, graphs, tokenize: manifest.vocabulary ? await tokenizer(manifest.vocabulary) : null };
  }

  async function openGraph(graph: BackboneManifest['trunk']): Promise<Graph> {
    const files = await readGraph(read, graphSource(graph));
    return await queue.run(async () => await Graph.open(files));
  }

  async function tokenizer(file: NonNullable<BackboneManifest['vocabulary']>): Promise<Tokenizer> {
    const bytes = await read(objectKeys.blob(file.sha256));
    if (!bytes) throw new GraftError('unavailable', 'The vocabulary of a backbone is not in the object storage. Publish the backbones again.');
    return makeTokenizer(new TextDecoder().decode(bytes));
  }

  function backbone(id: string): Promise<Opened> {
    let opening = opened.get(id);
    if (!opening) {
      opening = outlive(open(id));
      opened.set(id, opening);
      // A failed opening is tried again by the next request.
      opening.catch(() => opened.delete(id));
    }
    return opening;
  }

  /** `[input of the trunk, milliseconds of decoding]`. */
  function prepare(input: EncoderInput, manifest: BackboneManifest, tokenize: Tokenizer | null): ort.Tensor {
    const { preprocessing } = manifest;
    if ((input.kind === 'image' || input.kind === 'square') && preprocessing.kind === 'image') {
      const square = input.kind === 'square' ? input.pixels : decoder.decodeSquare(input.bytes).pixels;
      const values = toNetworkInput(square, preprocessing);
      if (input.kind === 'image') giveBack(square);
      return new ort.Tensor('float32', values, networkInputDims(preprocessing));
    }
    if ((input.kind === 'text' || input.kind === 'tokens') && preprocessing.kind === 'text' && tokenize) {
      const ids = input.kind === 'tokens' ? cut(input.ids, preprocessing.max_tokens) : tokenize(input.text, preprocessing.max_tokens);
      return new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]);
    }
    throw new GraftError('unprocessable', `The backbone "${manifest.id}" reads ${preprocessing.kind}, not ${input.kind}.`);
  }

  /** Calls `use` with an open trunk, and a tail where the backbone has one to itself. */
  async function withGraphs<T>({ manifest, graphs }: Opened, alone: boolean, use: (trunk: Graph, tail: Graph | null) => Promise<T>): Promise<T> {
    if (graphs) return await use(graphs.trunk, graphs.tail);
    const used = await networks.with(`${ADDED}${manifest.id}`, async ({ tail: network }) => ({ result: await use(network, null) }), alone);
    if (!used) throw unknown(manifest.id);
    return used.result;
  }

  async function encode(input: EncoderInput, on: EncodeOn): Promise<Encoded> {
    const network = await backbone(on.backbone);
    const { manifest, tokenize } = network;
    if (!isShipped(on.backbone)) await refuseUnfit(on.backbone);
    const before = performance.now();
    const tensor = prepare(input, manifest, tokenize);
    const decoded = performance.now();
    const pass = async (tuned: TunedNetwork | null): Promise<Encoded> =>
      await withGraphs(
        network,
        tuned === null,
        async (trunk, tail) =>
          await queue.run(async () => {
            const started = performance.now();
            const features = await trunk.run(tensor);
            const base = toVector(tail ? await tail.run(features) : features, manifest.dimension);
            const own = tuned ? toVector(await tuned.tail.run(tuned.trunk ? await tuned.trunk.run(tensor) : features), manifest.dimension) : null;
            giveBack(features.data);
            const timings = { decode: decoded - before, queue: started - decoded, embed: performance.now() - started };
            return { base, tuned: own, timings };
          }),
      );
    try {
      const encoded = await (on.model === null ? pass(null) : networks.with(on.model, pass));
      if (!encoded) throw new GraftError('unavailable', `The network of the model "${on.model}" cannot be found.`);
      return encoded;
    } finally {
      giveBack(tensor.data);
    }
  }

  /** An added backbone may have been removed since it was opened, and may not be for the edge at all. */
  async function refuseUnfit(id: string): Promise<void> {
    const manifest = await catalogue.get(id);
    if (!manifest) {
      opened.delete(id);
      throw unknown(id);
    }
    if (manifest.measured?.edge !== false) return;
    const { memory_bytes: bytes, milliseconds } = manifest.measured;
    const detail = `The backbone "${id}" does not fit the edge (${Math.ceil(bytes / 2 ** 20)} MiB and ${milliseconds} ms a run); only training jobs use it.`;
    throw new GraftError('unprocessable', detail, { param: 'backbone' });
  }

  async function tryBesideShipped(candidate: Candidate): Promise<Trial> {
    for (const id of Object.values(SHIPPED_BACKBONES)) if (await catalogue.get(id)) await backbone(id);
    return await queue.run(async () => await tryOut(candidate));
  }

  return {
    encode,
    tryOut: tryBesideShipped,
    memory: () => ({
      runtimeBytes: ortMemoryBytes(),
      decoderBytes: decoder.memoryBytes(),
      tails: networks.models.filter((id) => !id.startsWith(ADDED)),
    }),
  };
}

function unknown(id: string): GraftError {
  return new GraftError('unknown_backbone', `There is no backbone "${id.slice(0, 100)}".`, { param: 'backbone' });
}

/** As the tokeniser cuts a long text: the last token stays. */
function cut(ids: ArrayLike<number>, max: number): ArrayLike<number> {
  return ids.length <= max ? ids : [...Array.from(ids).slice(0, max - 1), ids[ids.length - 1]!];
}

function toVector(tensor: ort.Tensor, dimension: number): Float32Array {
  const data = tensor.data;
  if (!(data instanceof Float32Array) || data.length !== dimension) throw new Error(`the graph gave ${data.length} values, expected ${dimension}`);
  if (!data.every(Number.isFinite)) throw new GraftError('unprocessable', 'The network gave no finite embedding for this input.');
  return Float32Array.from(data);
}
