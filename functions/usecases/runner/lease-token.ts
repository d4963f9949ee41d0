/** Lease tokens: random, shown to one host, stored as a hash. */
import { GraftError } from '../../../shared/errors.ts';
import { sha256Hex } from '../../domain/digests.ts';
import type { Deps } from '../../deps.ts';
import { findLease, type WorkRow } from '../../stores/work.ts';

const TOKEN_BYTES = 32;

export function newLeaseToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
  return `lease_${Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')}`;
}

export function staleLease(): GraftError {
  return new GraftError('stale_lease', 'This lease has expired and was taken back, or its work has ended. Stop the work; another host has it.');
}

/** The work that the token holds. Throws `stale_lease` when it holds none any more. */
export async function needLease(deps: Pick<Deps, 'db'>, token: string): Promise<{ work: WorkRow; hash: string }> {
  const hash = await sha256Hex(token);
  const work = await findLease(deps.db, hash);
  if (!work) throw staleLease();
  return { work, hash };
}
