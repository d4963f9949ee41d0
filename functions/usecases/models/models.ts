/** Fine-tuned models: read, download, delete. */
import { ModelManifest } from '../../../shared/model-manifest.ts';
import { GraftError } from '../../../shared/errors.ts';
import type { Model } from '../../../shared/wire/models.ts';
import type { VersionInfo } from '../../domain/classifier-object.ts';
import { missing } from '../../domain/missing.ts';
import type { Deps } from '../../deps.ts';
import { listClassifiers } from '../../stores/classifiers.ts';
import { getTrainable } from '../../stores/jobs.ts';
import * as store from '../../stores/models.ts';
import { iso } from '../datasets/present-dataset.ts';

function presentModel(row: store.ModelRow): Model {
  const manifest = ModelManifest.parse(row.manifest);
  return {
    object: 'model',
    id: row.id,
    job: row.jobId,
    classifier: row.classifierId,
    backbone: row.backbone,
    modality: manifest.modality,
    dimension: manifest.dimension,
    labels: manifest.labels,
    tuned: manifest.tuned,
    seed: manifest.seed,
    dataset_digest: manifest.dataset_digest,
    files: manifest.files.map(({ name, sha256, bytes }) => ({ name, sha256, bytes })),
    created_at: iso(row.createdAt),
  };
}

async function needModel(deps: Pick<Deps, 'db'>, tenant: string, id: string): Promise<store.ModelRow> {
  const row = await store.getModel(deps.db, tenant, id);
  if (!row) throw missing('model', id);
  return row;
}

export async function getModel(deps: Pick<Deps, 'db'>, input: { tenant: string; id: string }): Promise<Model> {
  return presentModel(await needModel(deps, input.tenant, input.id));
}

/** One more than the page holds when there is another page. */
export async function listModels(deps: Pick<Deps, 'db'>, input: { tenant: string; page: { limit: number; after: string | null } }): Promise<Model[]> {
  return (await store.listModels(deps.db, input.tenant, input.page)).map(presentModel);
}

export async function openModelFile(deps: Pick<Deps, 'db' | 'objects'>, input: { tenant: string; id: string; name: string }) {
  const row = await needModel(deps, input.tenant, input.id);
  const key = Object.hasOwn(row.files, input.name) ? row.files[input.name] : undefined;
  const file = key === undefined ? null : await deps.objects.getStream(key);
  if (!file) throw missing('file', input.name);
  return file;
}

/**
 * Refused while a version of a classifier, active or one to go back to, runs on it. Of one that is gone already the files are deleted again before it is
 * said so: the storage may not have answered the first time.
 */
export async function deleteModel(deps: Pick<Deps, 'db' | 'objects' | 'classifier' | 'now'>, input: { tenant: string; id: string }): Promise<void> {
  const gone = await store.deletedModel(deps.db, input.tenant, input.id);
  if (gone) await deps.objects.delete(Object.values(gone.files));
  const row = await needModel(deps, input.tenant, input.id);
  if (row.classifierId !== null && (await getTrainable(deps.db, input.tenant, row.classifierId))) {
    const using = (await deps.classifier(row.classifierId).listVersions()).filter((version) => version.model === row.id);
    const active = using.find((version) => version.active);
    if (active)
      throw new GraftError('conflict', `Version ${active.n} of ${row.classifierId} is being served with this model. Activate another first.`);
    // A refused candidate was never served; only versions that somebody may go back to hold the model.
    const served = using.filter(wasServed);
    if (served.length > 0) {
      const numbers = served.map((version) => version.n).join(', ');
      throw new GraftError('conflict', `Versions of ${row.classifierId} that can be activated again run on this model: ${numbers}.`);
    }
  }
  await refuseWhereStoodOn(deps, input.tenant, row);
  await store.deleteModel(deps.db, row.id, deps.now());
  await deps.objects.delete(Object.values(row.files));
}

const PAGE = 100;

/** Other classifiers may have been made on this model; their rows name its base backbone, and their versions the model. */
async function refuseWhereStoodOn(deps: Pick<Deps, 'db' | 'classifier'>, tenant: string, row: store.ModelRow): Promise<void> {
  for (let after: string | null = null; ;) {
    const page = await listClassifiers(deps.db, tenant, { limit: PAGE, after });
    for (const { id, backbone } of page.slice(0, PAGE)) {
      if (backbone !== row.backbone || id === row.classifierId) continue;
      if ((await deps.classifier(id).listVersions()).some((version) => version.model === row.id))
        throw new GraftError('conflict', `Versions of ${id} run on this model. Delete that classifier first.`);
    }
    if (page.length <= PAGE) return;
    after = page[PAGE - 1]!.id;
  }
}

/** A refused candidate that somebody activates all the same comes back as another version, and so does what is enrolled on top of it. */
function wasServed({ kind, evidence }: Pick<VersionInfo, 'kind' | 'evidence'>): boolean {
  return kind !== 'trained' || (evidence as { trained?: { decision?: unknown } } | null)?.trained?.decision === 'promoted';
}
