/** Makes an API key. Its secret leaves once, in this answer; only its SHA-256 is kept. */
import { GraftError } from '../../../shared/errors.ts';
import type { CreateKey, NewKey } from '../../../shared/wire/tenants.ts';
import type { Deps } from '../../deps.ts';
import { sha256Hex } from '../../domain/digests.ts';
import { missing } from '../../domain/missing.ts';
import { insertKey } from '../../stores/keys.ts';
import { findTenant } from '../../stores/tenants.ts';
import { toKey } from './list-keys.ts';

/** 256 random bits: nothing to stretch, so a plain hash is enough. */
const SECRET_BYTES = 32;

export async function createKey(deps: Pick<Deps, 'db' | 'newId' | 'now'>, tenant: string, input: CreateKey): Promise<NewKey> {
  if (!(await findTenant(deps.db, tenant))) throw missing('tenant', tenant);
  const now = deps.now();
  const expiresAt = input.expires_at ? Date.parse(input.expires_at) : null;
  if (expiresAt !== null && expiresAt <= now)
    throw new GraftError('invalid_request', `The key would already be expired: "expires_at" is ${input.expires_at}.`, { param: 'expires_at' });
  const secret = `graft_${hex(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)))}`;
  const row = {
    id: deps.newId('key'),
    tenant,
    name: input.name,
    hash: await sha256Hex(secret),
    hint: secret.slice(-4),
    scopes: [...new Set(input.scopes)],
    expiresAt,
    createdAt: now,
  };
  await insertKey(deps.db, row);
  return { ...toKey({ ...row, revokedAt: null }), key: secret };
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}
