/** Takes an added backbone out of the catalogue, when nobody's classifier, model or job stands on it. */
import { BackboneId, isShipped } from '../../../shared/catalogue.ts';
import { GraftError } from '../../../shared/errors.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import type { Deps } from '../../deps.ts';
import { missing } from '../../domain/missing.ts';
import { backboneUsers } from '../../stores/backbone-users.ts';
import { findAdded, setAdded } from './added-index.ts';

export async function removeBackbone(deps: Pick<Deps, 'db' | 'objects' | 'catalogue'>, id: string): Promise<void> {
  if (isShipped(id)) throw new GraftError('conflict', `"${id}" is shipped with Graft and cannot be removed.`);
  const entry = BackboneId.safeParse(id).success ? await findAdded(deps, id) : null;
  if (!entry || entry.removed) throw missing('backbone', id);
  const users = await backboneUsers(deps.db, id);
  if (users.classifiers + users.models + users.jobs > 0) {
    const detail = `${users.classifiers} classifiers, ${users.models} models and ${users.jobs} open jobs stand on "${id}". Delete them first.`;
    throw new GraftError('conflict', detail);
  }
  const manifest = await deps.catalogue.get(id);
  await setAdded(deps, { ...entry, removed: true }, () => {});
  await deps.objects.delete([objectKeys.backboneManifest(id)]);
  deps.catalogue.forget(id);
  if (!manifest) return;
  // The same network may stand in the catalogue under another id.
  const trunk = manifest.trunk.model.sha256;
  const others = await deps.catalogue.list();
  if (others.every((other) => other.trunk.model.sha256 !== trunk)) await deps.objects.delete([objectKeys.blob(trunk)]);
}
