/** The operator makes a tenant. */
import type { CreateTenant, Tenant } from '../../../shared/wire/tenants.ts';
import type { Deps } from '../../deps.ts';
import { insertTenant } from '../../stores/tenants.ts';

export async function createTenant(deps: Pick<Deps, 'db' | 'newId' | 'now'>, input: CreateTenant): Promise<Tenant> {
  const row = { id: deps.newId('tenant'), name: input.name, createdAt: deps.now() };
  await insertTenant(deps.db, row);
  return { object: 'tenant', id: row.id, name: row.name, created_at: new Date(row.createdAt).toISOString() };
}
