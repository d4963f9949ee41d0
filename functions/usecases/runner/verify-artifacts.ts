/** Before a completion counts, every file that it names must be in object storage with the promised bytes, and the manifest must name them all. */
import { GraftError, type ErrorDetail } from '../../../shared/errors.ts';
import { ModelManifest } from '../../../shared/model-manifest.ts';
import { decodeHead } from '../../../shared/head-file.ts';
import type { Head } from '../../../shared/head.ts';
import { sha256Hex } from '../../domain/digests.ts';
import { networkOf } from '../../domain/model-network.ts';
import type { Deps } from '../../deps.ts';

export type NamedFile = { readonly name: string; readonly sha256: string; readonly bytes: number };

/** Throws `upload_incomplete` for missing files and `checksum_mismatch` for wrong ones, naming each. */
export async function verifyFiles(deps: Pick<Deps, 'objects'>, files: readonly NamedFile[], keyOf: (name: string) => string): Promise<void> {
  const missing: ErrorDetail[] = [];
  const wrong: ErrorDetail[] = [];
  for (const file of files) {
    const info = await deps.objects.head(keyOf(file.name));
    if (!info) missing.push({ file: file.name, code: 'artifact_missing', detail: `"${file.name}" is not in object storage.` });
    else if (info.bytes !== file.bytes)
      wrong.push({ file: file.name, code: 'artifact_size', detail: `"${file.name}" has ${info.bytes} bytes, the completion says ${file.bytes}.` });
    else if (info.sha256 !== null && info.sha256 !== file.sha256)
      wrong.push({
        file: file.name,
        code: 'artifact_sha256',
        detail: `"${file.name}" has the SHA-256 ${info.sha256}, the completion says ${file.sha256}.`,
      });
  }
  if (missing.length > 0) throw new GraftError('upload_incomplete', missing.map((m) => m.detail).join(' '), { errors: missing });
  if (wrong.length > 0) throw new GraftError('checksum_mismatch', wrong.map((w) => w.detail).join(' '), { errors: wrong });
}

/** Throws `upload_incomplete` when a name that must be there is not in the list. */
export function needNames(files: readonly NamedFile[], names: readonly string[]): void {
  const have = new Set(files.map((file) => file.name));
  const errors = names.filter((name) => !have.has(name)).map((name) => ({ file: name, code: 'artifact_missing', detail: `"${name}" is missing.` }));
  if (errors.length > 0) throw new GraftError('upload_incomplete', errors.map((e) => e.detail).join(' '), { errors });
}

/** Reads a small file and checks its SHA-256. */
async function readVerified(deps: Pick<Deps, 'objects'>, file: NamedFile, key: string): Promise<Uint8Array> {
  const bytes = await deps.objects.get(key);
  if (!bytes) throw new GraftError('upload_incomplete', `"${file.name}" is not in object storage.`);
  const sha256 = await sha256Hex(bytes);
  if (sha256 !== file.sha256) {
    const detail = `"${file.name}" has the SHA-256 ${sha256}, the completion says ${file.sha256}.`;
    throw new GraftError('checksum_mismatch', detail, { errors: [{ file: file.name, code: 'artifact_sha256', detail }] });
  }
  return bytes;
}

/** The manifest of a trained model, checked against the files of the completion; and its head, decoded, so that a broken one never goes further. */
export async function verifyModel(
  deps: Pick<Deps, 'objects'>,
  files: readonly NamedFile[],
  keyOf: (name: string) => string,
  job: { id: string; backbone: string; task: Head['task'] },
): Promise<ModelManifest> {
  const byName = new Map(files.map((file) => [file.name, file]));
  const bytes = await readVerified(deps, byName.get('manifest.json')!, keyOf('manifest.json'));
  const manifest = parseManifest(bytes);
  if (manifest.job !== job.id || manifest.base_backbone !== job.backbone)
    throw unprocessable(`manifest.json is for the job "${manifest.job}" on "${manifest.base_backbone}", not for "${job.id}" on "${job.backbone}".`);
  if (manifest.tuned) needNames(files, ['tail.onnx']);
  if (networkOf(manifest) === 'whole') needNames(files, ['trunk.onnx']);
  for (const named of manifest.files) {
    const file = byName.get(named.name);
    if (!file) throw new GraftError('upload_incomplete', `manifest.json names "${named.name}", which the completion lacks.`);
    if (file.sha256 !== named.sha256 || file.bytes !== named.bytes)
      throw new GraftError('checksum_mismatch', `manifest.json and the completion disagree about "${named.name}".`);
  }
  const unnamed = files.filter((file) => file.name !== 'manifest.json' && !manifest.files.some((named) => named.name === file.name));
  if (unnamed.length > 0) throw unprocessable(`manifest.json does not name ${unnamed.map((file) => `"${file.name}"`).join(', ')}.`);
  const head = await readVerified(deps, byName.get('head.safetensors')!, keyOf('head.safetensors'));
  try {
    const { labels, task } = decodeHead(head);
    if (task !== job.task) throw new RangeError(`it is for the task "${task}", its held-out answers are for "${job.task}"`);
    if (labels.join('\n') !== manifest.labels.join('\n')) throw new RangeError('its labels are not those of manifest.json');
  } catch (error) {
    throw unprocessable(`"head.safetensors" is not a head: ${error instanceof Error ? error.message.slice(0, 300) : 'unknown'}.`);
  }
  return manifest;
}

function parseManifest(bytes: Uint8Array): ModelManifest {
  try {
    return ModelManifest.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (error) {
    throw unprocessable(`manifest.json is not a model manifest: ${error instanceof Error ? error.message.slice(0, 300) : 'unknown'}.`);
  }
}

function unprocessable(detail: string): GraftError {
  return new GraftError('unprocessable', detail);
}
