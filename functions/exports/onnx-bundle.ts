/** The whole network as a zip: backbone and head in one ONNX graph, its weights, labels, preprocessing and a README. Only tails are held in memory. */
import { GraftError } from '../../shared/errors.ts';
import type { Head } from '../../shared/head.ts';
import { embeddingsOf, headParts } from '../../shared/head-parts.ts';
import { mergeEdits, type Tail } from './onnx-merge.ts';
import { onnxReadme } from './onnx-readme.ts';
import { scanModel, spliced, splicedBytes } from './onnx-scan.ts';
import { headMetadata, type Origin } from './origin.ts';
import { concat } from './protobuf.ts';
import { readVerified, type Chunks, type SourceFile } from './streams.ts';
import { zip, type ZipEntry } from './zip.ts';

export type GraphFiles = { readonly model: SourceFile; readonly data: SourceFile | null };
export type Network = {
  readonly trunk: GraphFiles;
  readonly tail: GraphFiles;
  /** null when the head reads the backbone's own embedding only. */
  readonly tuned: GraphFiles | null;
  /** Name of the trunk's input. */
  readonly input: string;
  /** Text only. */
  readonly vocabulary: SourceFile | null;
};

async function readAll(file: SourceFile): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readVerified(file)) chunks.push(chunk);
  return concat(chunks);
}

/** A stored graph that cannot be read is the store's trouble, not the caller's. */
async function readable<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new GraftError('unavailable', `A graph in the object storage cannot be used: ${cause.message}. Publish the backbones again.`, { cause });
  }
}

const passing = (name: string, file: SourceFile): ZipEntry => ({ name, bytes: file.bytes, read: () => readVerified(file) });

/**
 * Reads the graphs, checks their digests, and answers an archive whose large parts are read while it is sent.
 * @throws GraftError `unavailable` when a graph is damaged, `unprocessable` when the graphs do not fit together
 */
export async function bundleOnnx(head: Head, origin: Origin, network: Network): Promise<{ bytes: number; chunks: Chunks }> {
  const { manifest } = origin;
  if (!manifest) throw new GraftError('unavailable', `The backbone "${origin.backbone}" is not in the object storage. Publish the backbones again.`);
  const layout = await readable(async () => await scanModel(readVerified(network.trunk.model)));
  const tails: Tail[] = [];
  const weights: ZipEntry[] = network.trunk.data ? [passing(network.trunk.data.name, network.trunk.data)] : [];
  for (const { name } of embeddingsOf(headParts(head))) {
    const files = name === 'base' ? network.tail : network.tuned;
    if (!files) throw new GraftError('unavailable', 'The fine-tuned tail that this version runs on cannot be found.');
    const folder = name === 'base' ? 'tail' : 'tuned';
    const data = files.data ? `${folder}.onnx.data` : null;
    tails.push({ bytes: await readAll(files.model), prefix: `${folder}/`, output: name === 'base' ? 'embedding' : 'tuned', data });
    if (files.data && data) weights.push(passing(data, files.data));
  }
  const edits = await readable(() => mergeEdits(layout, tails, head, headMetadata(head, origin)));
  const json = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
  const { id, version, sha256, transform, preprocessing } = manifest;
  return zip([
    { name: 'README.txt', content: new TextEncoder().encode(onnxReadme(head, origin, preprocessing, network.input)) },
    { name: 'labels.json', content: json(head.labels) },
    { name: 'preprocessing.json', content: json({ ...preprocessing, backbone: { id, version, sha256, transform } }) },
    {
      name: 'model.onnx',
      bytes: splicedBytes(layout.bytes, edits),
      read: () => spliced(readVerified(network.trunk.model), edits),
    },
    ...weights,
    ...(network.vocabulary ? [passing('vocab.txt', network.vocabulary)] : []),
  ]);
}
