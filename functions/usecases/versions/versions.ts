/** A classifier's versions: what each is, and which one answers. */
import type { Version } from '../../../shared/wire/classifiers.ts';
import type { Deps } from '../../deps.ts';
import type { VersionInfo } from '../../domain/classifier-object.ts';
import { missing } from '../../domain/missing.ts';
import { loadClassifier } from '../classifiers/load-classifier.ts';
import { unwrap } from '../classifiers/unwrap.ts';
import { recordEvent } from '../events/record-event.ts';
import { versionEventData } from './version-event.ts';

/** A version as callers see it. */
export function toVersion(info: VersionInfo): Version {
  return {
    object: 'classifier.version',
    n: info.n,
    kind: info.kind,
    backbone: info.backbone,
    model: info.model,
    labels: [...info.labels],
    evidence: info.evidence ?? null,
    parent: info.parent,
    active: info.active,
    created_at: new Date(info.createdAt).toISOString(),
  };
}

/** All that are kept, newest first. */
export async function listVersions(deps: Pick<Deps, 'db' | 'classifier'>, tenant: string, id: string): Promise<Version[]> {
  await loadClassifier(deps, tenant, id);
  return (await deps.classifier(id).listVersions()).map(toVersion).toSorted((a, b) => b.n - a.n);
}

export async function getVersion(deps: Pick<Deps, 'db' | 'classifier'>, tenant: string, id: string, n: number): Promise<Version> {
  const found = (await listVersions(deps, tenant, id)).find((version) => version.n === n);
  if (!found) throw missing('version', String(n));
  return found;
}

/** Makes a version the one that answers; also the rollback. */
export async function activateVersion(
  deps: Pick<Deps, 'db' | 'classifier' | 'heads' | 'newId' | 'now' | 'deliveries'>,
  tenant: string,
  id: string,
  n: number,
): Promise<Version> {
  await loadClassifier(deps, tenant, id);
  const object = deps.classifier(id);
  const before = await object.describe();
  const version = toVersion(unwrap(await object.activateVersion(n)));
  deps.heads.forget(id);
  // Activating what is active already changes nothing, so there is nothing to tell.
  if (before?.version !== version.n)
    await recordEvent(deps, {
      tenant,
      type: 'classifier.version.activated',
      data: versionEventData({
        classifier: id,
        version: version.n,
        previous: before?.version ?? null,
        kind: version.kind,
        model: version.model,
        reason: 'requested',
      }),
    });
  return version;
}
