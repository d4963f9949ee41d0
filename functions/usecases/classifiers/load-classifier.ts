/** A tenant's classifier, or the one answer for every id that is not its own. */
import { KEY_CACHE_TTL_SECONDS } from '../../../shared/limits.ts';
import type { Classifier } from '../../../shared/wire/classifiers.ts';
import type { Deps } from '../../deps.ts';
import { missing } from '../../domain/missing.ts';
import { findClassifier, type StoredClassifier } from '../../stores/classifiers.ts';

/** Throws `not_found`. */
export async function loadClassifier(deps: Pick<Deps, 'db'>, tenant: string, id: string): Promise<StoredClassifier> {
  const row = await findClassifier(deps.db, tenant, id);
  if (!row) throw missing('classifier', id);
  return row;
}

const HELD_MAX = 10_000;
const held = new Map<string, { row: StoredClassifier; readAt: number }>();

/**
 * The same for predictions, which must not touch D1 each time: what an answer needs of the row never changes. A deletion or another review rule
 * through another isolate is noticed within KEY_CACHE_TTL_SECONDS, like a revoked key.
 */
export async function loadForPrediction(deps: Pick<Deps, 'db' | 'now'>, tenant: string, id: string): Promise<StoredClassifier> {
  const found = held.get(id);
  const now = deps.now();
  if (found && found.row.tenant === tenant && now - found.readAt < KEY_CACHE_TTL_SECONDS * 1_000) return found.row;
  held.delete(id);
  const row = await loadClassifier(deps, tenant, id);
  if (held.size >= HELD_MAX) held.clear();
  held.set(id, { row, readAt: now });
  return row;
}

/** For a change or deletion through this isolate. */
export function forgetForPrediction(id: string): void {
  held.delete(id);
}

type Description = NonNullable<Awaited<ReturnType<ReturnType<Deps['classifier']>['describe']>>>;

/** What the Durable Object says of it; an object that was never made (a crash between row and object) counts as missing. */
export async function describeClassifier(deps: Pick<Deps, 'classifier'>, row: StoredClassifier): Promise<Description> {
  const description = await deps.classifier(row.id).describe();
  if (!description) throw missing('classifier', row.id);
  return description;
}

export function toClassifier(row: StoredClassifier, description: Description): Classifier {
  return {
    object: 'classifier',
    id: row.id,
    name: row.name,
    modality: row.modality,
    backbone: row.backbone,
    dimension: row.dimension,
    task: row.task,
    unknown: row.falseRejectRate === null ? null : { false_reject_rate: row.falseRejectRate },
    review: row.review,
    version: description.version,
    model: description.model,
    labels: description.labels.map(({ name, description: words, examples }) => ({ name, description: words, examples })),
    created_at: new Date(row.createdAt).toISOString(),
  };
}
