/** Takes back the work of hosts that were not heard of, and finishes completions that were verified but not carried out. */
import type { Deps } from '../../deps.ts';
import { LEASE_TTL_SECONDS } from '../../../shared/limits.ts';
import { expiredLeases, renewLease } from '../../stores/work.ts';
import { endAttempt } from './end-attempt.ts';
import { finishPending } from './finish-pending.ts';
import { forTheLog } from '../../domain/for-the-log.ts';

const BATCH = 20;

/** Answers how many leases it ended. A failure of one is reported and does not stop the others. */
export async function expireLeases(deps: Pick<Deps, 'db' | 'classifier' | 'deliveries' | 'newId' | 'now'>): Promise<number> {
  let ended = 0;
  for (const row of await expiredLeases(deps.db, deps.now(), BATCH)) {
    try {
      if (row.pending !== null) await finishPending(deps, row);
      else await endAttempt(deps, row, { kind: 'expired' });
      ended += 1;
    } catch (error) {
      // Each host that asks for work comes by here: what cannot be carried out yet is not tried by all of them.
      if (row.pending !== null && row.tokenHash !== null) await renewLease(deps.db, row.tokenHash, deps.now() + LEASE_TTL_SECONDS * 1_000);
      console.error(
        JSON.stringify({ message: 'an expired lease could not be ended; the next sweep tries again', work: row.id, error: forTheLog(error) }),
      );
    }
  }
  return ended;
}
