/** A revoked key works nowhere after KEY_CACHE_TTL_SECONDS. */
import type { Deps } from '../../deps.ts';
import { missing } from '../../domain/missing.ts';
import { revokeKey as revokeKeyRow } from '../../stores/keys.ts';

export async function revokeKey(deps: Pick<Deps, 'db' | 'now'>, tenant: string, id: string): Promise<void> {
  if (!(await revokeKeyRow(deps.db, tenant, id, deps.now()))) throw missing('key', id);
}
