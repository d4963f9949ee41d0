/**
 * Rows of a frozen dataset as target inputs: a seeded sample, no more than one call may carry, embedded here in a bounded time. Rows are read by their
 * place in the frozen arrays, so a dataset of a million pictures costs what one of a hundred does.
 */
import { UNLABELLED } from '../../../shared/dataset.ts';
import { GraftError } from '../../../shared/errors.ts';
import { BATCH_MAX_INPUTS } from '../../../shared/limits.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import { decodeHeader, type TensorEntry } from '../../../shared/safetensors.ts';
import type { Deps } from '../../deps.ts';
import type { TargetInput, TargetSource } from '../../domain/classifier-object.ts';
import { sampleRows } from '../../domain/sample-rows.ts';
import type { EncodeOn, EncoderInput } from '../../inference/encoder.ts';
import type { StoredClassifier } from '../../stores/classifiers.ts';
import { needDataset } from '../datasets/get-dataset.ts';
import { needReady } from '../jobs/side-datasets.ts';

const FILE = 'dataset.safetensors';
/** The header of a handful of tensors is far shorter. */
const HEADER_BYTES = 65_536;
/** Rows read and embedded at a time: a picture row has 192 KiB. */
const WAVE = 4;
/** No wave begins after this long; what is embedded by then is the target. */
const EMBED_MAX_MS = 25_000;

type Needs = Pick<Deps, 'db' | 'objects' | 'encoder' | 'now'>;
type Frozen = { readonly key: string; readonly entries: ReadonlyMap<string, TensorEntry> };

/** Throws `not_found`, `dataset_not_ready` and, for rows that the classifier cannot read, `unprocessable`. */
export async function datasetTarget(
  deps: Needs,
  asked: { tenant: string; dataset: string; classifier: StoredClassifier; labels: readonly string[]; model: string | null },
): Promise<{ targets: TargetInput[]; source: TargetSource }> {
  const { classifier } = asked;
  const dataset = await needDataset(deps, asked.tenant, asked.dataset, 'dataset');
  const manifest = needReady(dataset, 'dataset');
  if (classifier.backbone === null || manifest.modality !== classifier.modality)
    throw new GraftError('unprocessable', `The classifier reads ${classifier.modality}; the dataset "${dataset.id}" holds ${manifest.modality}.`, {
      param: 'dataset',
    });
  if (dataset.frozenFence === null) throw damaged();
  const frozen = await openFrozen(deps, objectKeys.frozen(asked.tenant, dataset.id, dataset.frozenFence, FILE));
  const split = await readTensor(deps, frozen, 'split', 'U8');
  const labelOf = new Int32Array((await readTensor(deps, frozen, 'labels', 'I32')).buffer);
  const known = new Set(asked.labels);
  const several = manifest.task === 'multi_label';
  // Which labels a row has is read when it was drawn: for all rows and labels that may be a gigabyte.
  const told = several ? new Int32Array(labelOf.length).fill(UNLABELLED) : labelOf;
  const sample = sampleRows({ labelOf: told, split, names: manifest.labels }, known, BATCH_MAX_INPUTS, manifest.digest);
  const labelsOf = several ? rowLabels(deps, frozen, labelOf, manifest.labels) : null;
  let strangers = 0;

  const read = manifest.modality === 'image' ? await squares(deps, frozen) : await tokens(deps, frozen);
  const on: EncodeOn = { backbone: classifier.backbone, model: asked.model };
  const targets: TargetInput[] = [];
  const began = deps.now();
  for (let at = 0; at < sample.rows.length && deps.now() - began < EMBED_MAX_MS; at += WAVE) {
    const wave = sample.rows.slice(at, at + WAVE).map(async ({ row, label }) => {
      const labels = labelsOf ? await labelsOf(row) : label === null ? null : [label];
      if (labels?.some((name) => !known.has(name))) {
        strangers++;
        return [];
      }
      const { base, tuned } = await deps.encoder.encode(await read(row), on);
      // One label of a row, where inputs have several, is not all that could be said of it; and of several none is the one.
      return [{ base, tuned, labels: classifier.task === manifest.task ? labels : null }];
    });
    targets.push(...(await Promise.all(wave)).flat());
  }
  const source = { dataset: dataset.id, rows: manifest.rows, eligible: sample.eligible, read: targets.length, seed: sample.seed };
  return { targets, source: { ...source, other_labels: sample.otherLabels + strangers } };
}

async function openFrozen(deps: Needs, key: string): Promise<Frozen> {
  const beginning = await deps.objects.getRange(key, 0, HEADER_BYTES);
  if (!beginning) throw damaged();
  try {
    return { key, entries: new Map(decodeHeader(beginning).entries.map((entry) => [entry.name, entry])) };
  } catch (cause) {
    throw damaged(cause);
  }
}

async function readTensor(deps: Needs, { key, entries }: Frozen, name: string, dtype: TensorEntry['dtype']): Promise<Uint8Array> {
  const entry = entries.get(name);
  if (entry?.dtype !== dtype) throw damaged();
  return await readBytes(deps, key, entry.start, entry.bytes);
}

async function readBytes(deps: Needs, key: string, start: number, bytes: number): Promise<Uint8Array> {
  if (bytes === 0) return new Uint8Array(0);
  const found = await deps.objects.getRange(key, start, bytes);
  if (found?.byteLength !== bytes) throw damaged();
  return found;
}

type ReadRow = (row: number) => Promise<EncoderInput>;

async function squares(deps: Needs, { key, entries }: Frozen): Promise<ReadRow> {
  const { bytes, start } = matrix(entries.get('pixels'), 'U8');
  return async (row) => ({ kind: 'square', pixels: await readBytes(deps, key, start + row * bytes, bytes) });
}

async function tokens(deps: Needs, frozen: Frozen): Promise<ReadRow> {
  const { bytes, start } = matrix(frozen.entries.get('input_ids'), 'I32');
  const lengths = new Int32Array((await readTensor(deps, frozen, 'lengths', 'I32')).buffer);
  return async (row) => {
    const ids = new Int32Array((await readBytes(deps, frozen.key, start + row * bytes, bytes)).buffer);
    return { kind: 'tokens', ids: ids.subarray(0, lengths[row]) };
  };
}

/** What a row of a multi-label dataset was labelled with; null where nobody did. */
function rowLabels(deps: Needs, { key, entries }: Frozen, labelOf: Int32Array, names: readonly string[]) {
  const { bytes, start } = matrix(entries.get('present'), 'U8');
  return async (row: number): Promise<string[] | null> => {
    if (labelOf[row] === UNLABELLED) return null;
    const present = await readBytes(deps, key, start + row * bytes, bytes);
    return names.filter((_, label) => present[label] === 1);
  };
}

/** Where rows begin and how long each is. */
function matrix(entry: TensorEntry | undefined, dtype: TensorEntry['dtype']): { start: number; bytes: number } {
  if (entry?.dtype !== dtype || !entry.shape[0]) throw damaged();
  return { start: entry.start, bytes: entry.bytes / entry.shape[0] };
}

function damaged(cause?: unknown): GraftError {
  return new GraftError('unavailable', 'The frozen arrays of the dataset are missing or damaged in the object storage. Upload the dataset again.', {
    cause,
  });
}
