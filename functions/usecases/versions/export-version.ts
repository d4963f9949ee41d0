/** A version's head, alone or with its backbone, in a form that runs without Graft. */
import { GraftError } from '../../../shared/errors.ts';
import type { Head } from '../../../shared/head.ts';
import { decodeHead } from '../../../shared/head-file.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import type { Deps } from '../../deps.ts';
import { headless, missing } from '../../domain/missing.ts';
import { bundleOnnx, type GraphFiles } from '../../exports/onnx-bundle.ts';
import { encodeOnnxHead } from '../../exports/onnx-head.ts';
import { headMetadata, type Origin } from '../../exports/origin.ts';
import { encodeSafetensorsHead } from '../../exports/safetensors-head.ts';
import type { Chunks, SourceFile } from '../../exports/streams.ts';
import { encodeTfjs } from '../../exports/tfjs.ts';
import { zip } from '../../exports/zip.ts';
import { graphSource } from '../../inference/catalogue.ts';
import type { GraphSource, StoredFile } from '../../inference/graph.ts';
import { findModelNetwork } from '../../stores/model-network.ts';
import { loadClassifier } from '../classifiers/load-classifier.ts';
import { unwrap } from '../classifiers/unwrap.ts';

export type ExportDeps = Pick<Deps, 'db' | 'classifier' | 'catalogue' | 'objects'>;
export type ExportInput = {
  readonly tenant: string;
  readonly id: string;
  readonly n: number;
  readonly format: 'onnx' | 'tfjs' | 'safetensors';
  /** ONNX only; undefined: with the backbone where there is one. */
  readonly part: 'head' | 'all' | undefined;
};
export type ExportedFile = { readonly name: string; readonly type: string; readonly bytes: number; readonly chunks: Chunks };

const ZIP = 'application/zip';
const BINARY = 'application/octet-stream';

/**
 * Throws `not_found`, `invalid_request` (a part of a format that has none), `nothing_to_predict` (a version without a head), `unprocessable` (a backbone
 * of a classifier that has none), `unavailable` (files missing or damaged).
 */
export async function exportVersion(deps: ExportDeps, input: ExportInput): Promise<ExportedFile> {
  const { format, part } = input;
  if (part && format !== 'onnx')
    throw new GraftError('invalid_request', `"part" is for format=onnx; ${format} always holds the head alone.`, { param: 'part' });
  const { head, origin } = await loadVersion(deps, input);
  if (head.components.length === 0) throw new GraftError('unprocessable', `Version ${input.n} has a head without components.`);
  if (part === 'all' && origin.backbone === null)
    throw new GraftError('unprocessable', 'This classifier reads vectors, so there is no backbone to export; use part=head.', { param: 'part' });
  const name = `${input.id}-v${input.n}`;
  if (format === 'safetensors') return whole(`${name}.safetensors`, encodeSafetensorsHead(head, origin));
  if (format === 'tfjs') return { name: `${name}-tfjs.zip`, type: ZIP, ...zip(encodeTfjs(head, origin)) };
  if (part === 'head' || origin.backbone === null) return whole(`${name}-head.onnx`, encodeOnnxHead(head, headMetadata(head, origin)));
  return { name: `${name}-onnx.zip`, type: ZIP, ...(await bundle(deps, head, origin)) };
}

async function loadVersion(deps: ExportDeps, { tenant, id, n }: ExportInput): Promise<{ head: Head; origin: Origin }> {
  const row = await loadClassifier(deps, tenant, id);
  const object = deps.classifier(id);
  const info = (await object.listVersions()).find((version) => version.n === n);
  if (!info) throw missing('version', String(n));
  const served = unwrap(await object.headOf(n));
  if (!served.head) throw headless(n);
  const origin: Origin = {
    classifier: id,
    name: row.name,
    version: n,
    createdAt: new Date(info.createdAt).toISOString(),
    backbone: row.backbone,
    manifest: row.backbone === null ? null : await deps.catalogue.get(row.backbone),
    model: served.model,
  };
  return { head: decodeHead(served.head), origin };
}

async function bundle(deps: ExportDeps, head: Head, origin: Origin): Promise<{ bytes: number; chunks: Chunks }> {
  const { manifest, model } = origin;
  if (!manifest) throw new GraftError('unavailable', `The backbone "${origin.backbone}" is not in the object storage. Publish the backbones again.`);
  const source = (file: StoredFile): SourceFile => ({
    ...file,
    open: async () => {
      const found = await deps.objects.getStream(file.key);
      if (!found) throw new GraftError('unavailable', `The file ${file.name} is not in the object storage. Publish the backbones or train again.`);
      return found.body;
    },
  });
  const graph = (files: GraphSource): GraphFiles => ({ model: source(files.model), data: files.data && source(files.data) });
  const tuned = model === null ? null : await findModelNetwork(deps.db, model);
  const { vocabulary } = manifest;
  return await bundleOnnx(head, origin, {
    trunk: graph(graphSource(manifest.trunk)),
    tail: graph(graphSource(manifest.tail)),
    tuned: tuned && { trunk: tuned.trunk && graph(tuned.trunk), tail: graph(tuned.tail) },
    input: manifest.trunk.inputs[0] ?? 'input',
    vocabulary: vocabulary && source({ ...vocabulary, key: objectKeys.blob(vocabulary.sha256) }),
  });
}

function whole(name: string, content: Uint8Array): ExportedFile {
  return { name, type: BINARY, bytes: content.byteLength, chunks: once(content) };
}

async function* once(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content;
}
