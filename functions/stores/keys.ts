/** API keys: only their SHA-256 is stored. */
import { and, asc, eq, gt, isNull } from 'drizzle-orm';
import type { Scope } from '../../shared/wire/scopes.ts';
import type { Database } from '../db/database.ts';
import { keys } from '../db/schema.ts';

export type StoredKey = {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly hint: string;
  readonly scopes: readonly Scope[];
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  readonly createdAt: number;
};

const toKey = (row: typeof keys.$inferSelect): StoredKey => ({
  id: row.id,
  tenant: row.tenantId,
  name: row.name,
  hint: row.hint,
  scopes: row.scopes as Scope[],
  expiresAt: row.expiresAt,
  revokedAt: row.revokedAt,
  createdAt: row.createdAt,
});

export async function findKeyByHash(db: Database, hash: string): Promise<StoredKey | null> {
  const [row] = await db.select().from(keys).where(eq(keys.hash, hash));
  return row ? toKey(row) : null;
}

export async function insertKey(db: Database, key: Omit<StoredKey, 'revokedAt'> & { hash: string }): Promise<void> {
  await db.insert(keys).values({ ...key, tenantId: key.tenant, scopes: [...key.scopes], revokedAt: null });
}

/** Keys that were not revoked, oldest first; one row more than `limit` says that there is a next page. */
export async function listKeys(db: Database, tenant: string, page: { limit: number; after: string | null }): Promise<StoredKey[]> {
  const rows = await db
    .select()
    .from(keys)
    .where(and(eq(keys.tenantId, tenant), isNull(keys.revokedAt), page.after ? gt(keys.id, page.after) : undefined))
    .orderBy(asc(keys.id))
    .limit(page.limit + 1);
  return rows.map(toKey);
}

/** False when the tenant has no such key that is still valid. */
export async function revokeKey(db: Database, tenant: string, id: string, now: number): Promise<boolean> {
  const rows = await db
    .update(keys)
    .set({ revokedAt: now })
    .where(and(eq(keys.tenantId, tenant), eq(keys.id, id), isNull(keys.revokedAt)))
    .returning({ id: keys.id });
  return rows.length > 0;
}
