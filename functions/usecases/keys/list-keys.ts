/** The tenant's keys that still work or may work again, without their secrets. */
import type { Key } from '../../../shared/wire/tenants.ts';
import type { Deps } from '../../deps.ts';
import { listKeys as listKeyRows, type StoredKey } from '../../stores/keys.ts';

export function toKey(row: StoredKey): Key {
  return {
    object: 'key',
    id: row.id,
    name: row.name,
    hint: row.hint,
    scopes: [...row.scopes],
    expires_at: row.expiresAt === null ? null : new Date(row.expiresAt).toISOString(),
    created_at: new Date(row.createdAt).toISOString(),
  };
}

/** `limit + 1` rows at most. */
export async function listKeys(deps: Pick<Deps, 'db'>, tenant: string, page: { limit: number; after: string | null }): Promise<Key[]> {
  return (await listKeyRows(deps.db, tenant, page)).map(toKey);
}
