/** The whole network as a zip: backbone and head in one ONNX graph, its weights, labels, preprocessing and a README. No weights are held in memory. */
import { GraftError } from '../../shared/errors.ts';
import type { Head } from '../../shared/head.ts';
import { embeddingsOf, headParts } from '../../shared/head-parts.ts';
import { readGraft } from './onnx-graft.ts';
import { mergeEdits, type Part } from './onnx-merge.ts';
import { onnxReadme } from './onnx-readme.ts';
import { scanModel, spliced, splicedBytes } from './onnx-scan.ts';
import { headMetadata, type Origin } from './origin.ts';
import { readVerified, type Chunks, type SourceFile } from './streams.ts';
import { zip, type ZipEntry } from './zip.ts';

export type GraphFiles = { readonly model: SourceFile; readonly data: SourceFile | null };
export type Network = {
  readonly trunk: GraphFiles;
  readonly tail: GraphFiles;
  /** The version's own tail and, of a whole network, its trunk; null when the head reads the backbone's own embedding only. */
  readonly tuned: { readonly trunk: GraphFiles | null; readonly tail: GraphFiles } | null;
  /** Name of the trunk's input. */
  readonly input: string;
  /** Text only. */
  readonly vocabulary: SourceFile | null;
};

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
  const used = embeddingsOf(headParts(head)).map(({ name }) => name);
  if (used.includes('tuned') && !network.tuned)
    throw new GraftError('unavailable', 'The fine-tuned network that this version runs on cannot be found.');
  const own = used.includes('tuned') ? network.tuned : null;
  // A head that reads nothing of the shared network leaves it out.
  const first = own?.trunk && !used.includes('base') ? own.trunk : network.trunk;
  const layout = await readable(async () => await scanModel(readVerified(first.model)));
  const weights: ZipEntry[] = first.data ? [passing(first.data.name, first.data)] : [];
  const parts: Part[] = [];
  const append = async (files: GraphFiles, name: string, as: { input: string | null; output: string }): Promise<void> => {
    const data = files.data ? `${name}.onnx.data` : null;
    parts.push({ graph: await readable(async () => await readGraft(files.model)), as: { ...as, prefix: `${name}/`, data } });
    if (files.data && data) weights.push(passing(data, files.data));
  };
  if (used.includes('base')) await append(network.tail, 'tail', { input: null, output: 'embedding' });
  const apart = own?.trunk && first !== own.trunk;
  if (apart) await append(own.trunk, 'tuned-trunk', { input: network.input, output: 'tuned-trunk/output' });
  if (own) await append(own.tail, 'tuned', { input: apart ? 'tuned-trunk/output' : null, output: 'tuned' });
  const edits = await readable(() => mergeEdits(layout, parts, head, headMetadata(head, origin)));
  const json = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
  const { id, version, sha256, transform, preprocessing } = manifest;
  return zip([
    { name: 'README.txt', content: new TextEncoder().encode(onnxReadme(head, origin, preprocessing, network.input)) },
    { name: 'labels.json', content: json(head.labels) },
    { name: 'preprocessing.json', content: json({ ...preprocessing, backbone: { id, version, sha256, transform } }) },
    {
      name: 'model.onnx',
      bytes: splicedBytes(layout.bytes, edits),
      read: () => spliced(readVerified(first.model), edits),
    },
    ...weights,
    ...(network.vocabulary ? [passing('vocab.txt', network.vocabulary)] : []),
  ]);
}
