/** Parts of what a host gets for training: frozen datasets, backbones, and what the labels are called. */
import { Advice } from '../../../shared/advice.ts';
import { BackboneManifest, SHIPPED_BACKBONES, type BlobFile } from '../../../shared/catalogue.ts';
import { DatasetManifest } from '../../../shared/dataset.ts';
import { GraftError } from '../../../shared/errors.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import type { Download, TrainWork, WorkBackbone } from '../../../shared/runner.ts';
import { labelText } from '../../domain/label-text.ts';
import type { Deps } from '../../deps.ts';
import { readIndex } from '../../inference/catalogue.ts';
import { getDataset } from '../../stores/datasets.ts';
import { findAdvice, getTrainable, type JobRow } from '../../stores/jobs.ts';

type Needs = Pick<Deps, 'db' | 'objects' | 'classifier'>;

/** Long enough for a slow link and a big archive; a host that needs longer has lost its lease anyway. */
const DOWNLOAD_TTL_SECONDS = 6 * 3600;

export async function download(deps: Pick<Deps, 'objects'>, key: string, of: { bytes: number | null; sha256: string | null }): Promise<Download> {
  return { url: await deps.objects.presignGet(key, { ttlSeconds: DOWNLOAD_TTL_SECONDS }), bytes: of.bytes, sha256: of.sha256 };
}

export async function blob(deps: Pick<Deps, 'objects'>, file: BlobFile): Promise<Download> {
  return await download(deps, objectKeys.blob(file.sha256), file);
}

/** A frozen dataset with its files. Throws `not_found` when it was deleted since the job was made. */
export async function workDataset(deps: Needs, tenant: string, id: string, role: string): Promise<TrainWork['dataset']> {
  const row = await getDataset(deps.db, tenant, id);
  const fence = row?.frozenFence ?? null;
  if (!row || fence === null) throw new GraftError('not_found', `The job's ${role} was deleted.`);
  const manifest = DatasetManifest.parse(row.manifest);
  const files = await record(manifest.files, (file) => download(deps, objectKeys.frozen(tenant, id, fence, file.name), file));
  return { id, manifest, files, examples_left: await examplesLeft(deps, tenant, row.fromClassifier) };
}

/**
 * Null for an upload, and where the classifier was deleted: then the dataset is a copy that its owner kept. While it is there, deleting an example has the
 * effect of never having enrolled it, so no job may bring it back from what was frozen before.
 */
async function examplesLeft(deps: Needs, tenant: string, id: string | null): Promise<string[] | null> {
  if (id === null || !(await getTrainable(deps.db, tenant, id))) return null;
  return await deps.classifier(id).enrolledIds();
}

/** The rows of datasets that a classifier keeps as examples, by dataset, with what tells their content. Of a deleted one nothing does. */
export async function taughtRows(
  deps: Needs,
  tenant: string,
  rows: readonly { readonly id: string; readonly dataset: string; readonly row: number }[],
): Promise<TrainWork['taught']> {
  const found = [...Map.groupBy(rows, ({ dataset }) => dataset)].map(async ([dataset, of]) => {
    const row = await getDataset(deps.db, tenant, dataset);
    const list = row?.manifest ? DatasetManifest.parse(row.manifest).files.find(({ name }) => name === 'rows.jsonl') : undefined;
    if (!row || row.frozenFence === null || !list) return [];
    const key = objectKeys.frozen(tenant, dataset, row.frozenFence, list.name);
    return [{ dataset, rows: await download(deps, key, list), examples: of.map(({ id, row }) => ({ id, row })) }];
  });
  return (await Promise.all(found)).flat();
}

/** Null when the backbone is not published. */
export async function readBackbone(deps: Pick<Deps, 'objects'>, id: string): Promise<BackboneManifest | null> {
  const bytes = await deps.objects.get(objectKeys.backboneManifest(id));
  return bytes && BackboneManifest.parse(JSON.parse(new TextDecoder().decode(bytes)));
}

export async function needBackbone(deps: Pick<Deps, 'objects'>, id: string): Promise<BackboneManifest> {
  const manifest = await readBackbone(deps, id);
  if (!manifest) throw new GraftError('unavailable', `The backbone "${id}" is not in object storage. Run the set-up.`);
  return manifest;
}

/** A backbone with everything that the engine loads of it. */
export async function workBackbone(deps: Pick<Deps, 'objects'>, manifest: BackboneManifest): Promise<WorkBackbone> {
  const { trunk, tail, weights, vocabulary, background, background_inputs } = manifest;
  const files = [trunk.model, trunk.data, tail.model, tail.data, weights, vocabulary, background, background_inputs].filter((file) => file !== null);
  return { manifest, files: await record(files, (file) => blob(deps, file)) };
}

/** What embeds the rows of a dataset for its quality report; null where the shipped backbone is not published. */
export async function inspectionBackbone(deps: Pick<Deps, 'objects'>, modality: 'image' | 'text'): Promise<WorkBackbone | null> {
  const manifest = await readBackbone(deps, SHIPPED_BACKBONES[modality]);
  return manifest && (await workBackbone(deps, manifest));
}

/** The backbones that advice compares: the one named, the shipped one and those that operators added, all of the modality. */
export async function advisedBackbones(deps: Pick<Deps, 'objects'>, named: string, modality: 'image' | 'text'): Promise<WorkBackbone[]> {
  const { backbones } = readIndex(await deps.objects.get(objectKeys.backboneIndex));
  const ids = new Set([named, SHIPPED_BACKBONES[modality], ...backbones.flatMap(({ id, removed }) => (removed ? [] : [id]))]);
  const manifests = await Promise.all([...ids].map(async (id) => await readBackbone(deps, id)));
  const usable = manifests.filter((manifest) => manifest?.modality === modality);
  return await Promise.all(usable.flatMap((manifest) => (manifest ? [workBackbone(deps, manifest)] : [])));
}

/**
 * The text backbone, and what each label of the dataset reads as: its description in the classifier where there is one. Null where no text backbone
 * is published, and for pictures whose method does not ask for words.
 */
export async function labelTexts(
  deps: Needs,
  job: { readonly classifierId: string | null; readonly method: { readonly type: string } },
  dataset: TrainWork['dataset'],
): Promise<TrainWork['label_texts']> {
  if (dataset.manifest.modality !== 'text' && job.method.type !== 'zero_shot') return null;
  const manifest = await readBackbone(deps, SHIPPED_BACKBONES.text);
  if (!manifest) return null;
  const described = job.classifierId === null ? null : await deps.classifier(job.classifierId).describe();
  const descriptions = new Map(described?.labels.map((label) => [label.name, label.description]));
  const texts = dataset.manifest.labels.map((label) => labelText(label, descriptions.get(label) ?? null));
  return { backbone: await workBackbone(deps, manifest), texts };
}

/** How many of the latest advice jobs are looked at. */
const ADVICE_LOOKED_AT = 5;

/**
 * For `auto`: the latest finished advice about the same rows, source and target, that speaks of the job's backbone. None for a job that leaves rows out
 * or learns from another classifier's too, because advice knew nothing of that.
 */
export async function reusableAdvice(
  deps: Needs,
  job: Pick<JobRow, 'tenantId' | 'kind' | 'backbone' | 'sourceClassifierId'>,
  of: { method: { readonly type: string }; dataset: TrainWork['dataset']; target: TrainWork['dataset'] | null; exclude: readonly unknown[] },
): Promise<TrainWork['advice']> {
  if (job.kind !== 'training' || of.method.type !== 'auto' || of.exclude.length > 0 || job.sourceClassifierId !== null) return null;
  const digests = { dataset: of.dataset.manifest.digest, target: of.target?.manifest.digest ?? null };
  for (const found of await findAdvice(deps.db, job.tenantId, digests, ADVICE_LOOKED_AT)) {
    const advice = Advice.parse(found.result);
    if (advice.what.backbone === job.backbone) return { job: found.id, advice };
  }
  return null;
}

async function record<T extends { name: string }>(files: readonly T[], make: (file: T) => Promise<Download>): Promise<Record<string, Download>> {
  return Object.fromEntries(await Promise.all(files.map(async (file) => [file.name, await make(file)] as const)));
}
