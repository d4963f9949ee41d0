/** Gives a host its next piece of work, waiting for one up to `wait_seconds`. */
import { GraftError } from '../../../shared/errors.ts';
import { LEASE_TTL_SECONDS, LEASE_WAIT_MAX_SECONDS } from '../../../shared/limits.ts';
import type { Lease, LeaseRequest, Work } from '../../../shared/runner.ts';
import { sha256Hex } from '../../domain/digests.ts';
import type { Deps } from '../../deps.ts';
import { leaseWork as leaseStatements, renewLease, sawHost, setInputs, type WorkRow } from '../../stores/work.ts';
import { iso } from '../datasets/present-dataset.ts';
import { endAttempt } from './end-attempt.ts';
import { expireLeases } from './expire-leases.ts';
import { newLeaseToken } from './lease-token.ts';
import { presentTraining, presentValidation } from './present-work.ts';
import { forTheLog } from '../../domain/for-the-log.ts';

type Needs = Pick<Deps, 'db' | 'objects' | 'classifier' | 'deliveries' | 'newId' | 'now'>;

const POLL_MS = 500;
/** Work that is older and whose inputs still do not answer is not waiting for the end of an outage. */
const POSTPONE_MAX_MS = 24 * 3_600_000;
/** Three heartbeats fit into a lease, so one that is lost costs nothing. */
const HEARTBEAT_SECONDS = LEASE_TTL_SECONDS / 3;

/** Null when nothing came up. `signal` ends the wait of a host that hung up. */
export async function leaseWork(deps: Needs, input: { request: LeaseRequest; signal?: AbortSignal }): Promise<Lease | null> {
  const { host, capacity, wait_seconds } = input.request;
  const until = deps.now() + Math.min(wait_seconds, LEASE_WAIT_MAX_SECONDS) * 1_000;
  await sawHost(deps.db, { name: host, kinds: capacity.kinds, device: capacity.device, now: deps.now() });
  if (capacity.kinds.length === 0) return null;
  await expireLeases(deps);
  while (!input.signal?.aborted) {
    const lease = await tryLease(deps, input.request);
    if (lease) return lease;
    if (deps.now() + POLL_MS > until) return null;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return null;
}

async function tryLease(deps: Needs, request: LeaseRequest): Promise<Lease | null> {
  const token = request.token ?? newLeaseToken();
  const hash = await sha256Hex(token);
  const now = deps.now();
  const expiresAt = now + LEASE_TTL_SECONDS * 1_000;
  const [leased] = await deps.db.batch(
    leaseStatements(deps.db, { kinds: request.capacity.kinds, host: request.host, tokenHash: hash, now, expiresAt }),
  );
  const row = leased[0] ?? (request.token === undefined ? undefined : await givenBefore(deps, hash, expiresAt));
  if (!row) return null;
  const work = await present(deps, row, hash);
  // What does not answer for this one does not for the next one either, and the host asks again soon.
  if (work === 'postponed') return null;
  if (!work) return await tryLease(deps, request);
  // Making the inputs took some of it.
  const left = Math.max(0, expiresAt - deps.now()) / 1_000;
  return {
    token,
    fence: row.fence,
    attempt: row.attempts,
    expires_at: iso(expiresAt),
    expires_in_seconds: left,
    heartbeat_seconds: HEARTBEAT_SECONDS,
    work,
  };
}

/** What this token was given before, by a call whose answer was lost. A completion that is being carried out needs its host no more. */
async function givenBefore(deps: Needs, hash: string, expiresAt: number): Promise<WorkRow | undefined> {
  const [row] = await renewLease(deps.db, hash, expiresAt);
  return row?.pending === null ? row : undefined;
}

/**
 * Null when the inputs cannot be given: the attempt ends here with the reason, instead of at a host that cannot do anything about it. While a part does not
 * answer that they come from, the work is put off instead: five attempts would be over in little more than a minute.
 */
async function present(deps: Needs, row: WorkRow, hash: string): Promise<Work | 'postponed' | null> {
  try {
    if (row.kind === 'validate') return await presentValidation(deps, row);
    const { work, inputs } = await presentTraining(deps, row);
    return (await setInputs(deps.db, row.id, hash, inputs)) ? work : null;
  } catch (error) {
    const known = error instanceof GraftError ? error : null;
    if (!known) console.error(JSON.stringify({ message: 'the inputs of a lease cannot be given', work: row.id, error: forTheLog(error) }));
    if (known?.code === 'unavailable' && deps.now() - row.createdAt < POSTPONE_MAX_MS) {
      await endAttempt(deps, row, { kind: 'postponed', detail: known.message });
      return 'postponed';
    }
    const code = known ? `inputs_${known.code}` : 'inputs_unavailable';
    const detail = known?.message ?? 'The inputs of this work could not be read.';
    const retryable = known?.retryable ?? true;
    await endAttempt(deps, row, { kind: 'failed', error: { code, detail, retryable, blame: retryable ? 'graft' : 'caller' } });
    return null;
  }
}
