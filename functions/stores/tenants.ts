/** Tenants: whom everything belongs to. */
import { eq } from 'drizzle-orm';
import type { Database } from '../db/database.ts';
import { tenants } from '../db/schema.ts';

export type TenantRow = { readonly id: string; readonly name: string; readonly createdAt: number };

export async function insertTenant(db: Database, tenant: TenantRow): Promise<void> {
  await db.insert(tenants).values(tenant);
}

export async function findTenant(db: Database, id: string): Promise<TenantRow | null> {
  const [row] = await db.select().from(tenants).where(eq(tenants.id, id));
  return row ?? null;
}
