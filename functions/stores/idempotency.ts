/**
 * First answers by Idempotency-Key. A row is a lock until its request is answered; a lock that its holder never released (a crash) expires. The
 * instant of expiry is the fence: a holder that lost its lock cannot write an answer over its successor's.
 */
import { and, eq, sql } from 'drizzle-orm';
import type { Database } from '../db/database.ts';
import { idempotency } from '../db/schema.ts';

export type FirstAnswer = { readonly status: number; readonly headers: Record<string, string>; readonly body: string };
export type IdempotencyRow = { readonly digest: string; readonly inFlight: boolean; readonly answer: FirstAnswer | null };

export type Claim = {
  readonly tenant: string;
  readonly key: string;
  readonly digest: string;
  readonly now: number;
  readonly lockedUntil: number;
  /** Rows made before this are forgotten. */
  readonly keptSince: number;
};

/** True when the caller now holds the lock; false when somebody else does or an answer is there. */
export async function claimIdempotencyKey(db: Database, claim: Claim): Promise<boolean> {
  const row = {
    tenantId: claim.tenant,
    key: claim.key,
    requestDigest: claim.digest,
    status: 'in_flight' as const,
    responseStatus: null,
    responseHeaders: null,
    responseBody: null,
    lockedUntil: claim.lockedUntil,
    createdAt: claim.now,
  };
  const taken = await db
    .insert(idempotency)
    .values(row)
    .onConflictDoUpdate({
      target: [idempotency.tenantId, idempotency.key],
      set: row,
      // A crashed request may be repeated, but still only with the same body.
      setWhere: sql`${idempotency.createdAt} < ${claim.keptSince} or (${idempotency.status} = 'in_flight'
        and ${idempotency.lockedUntil} < ${claim.now} and ${idempotency.requestDigest} = ${claim.digest})`,
    })
    .returning({ key: idempotency.key });
  return taken.length > 0;
}

export async function findIdempotencyKey(db: Database, tenant: string, key: string): Promise<IdempotencyRow | null> {
  const [row] = await db
    .select()
    .from(idempotency)
    .where(and(eq(idempotency.tenantId, tenant), eq(idempotency.key, key)));
  if (!row) return null;
  const answer =
    row.responseStatus === null ? null : { status: row.responseStatus, headers: row.responseHeaders ?? {}, body: row.responseBody ?? '' };
  return { digest: row.requestDigest, inFlight: row.status === 'in_flight', answer };
}

/** Keeps the first answer, if the lock is still held. */
export async function keepFirstAnswer(db: Database, claim: Pick<Claim, 'tenant' | 'key' | 'lockedUntil'>, answer: FirstAnswer): Promise<void> {
  await db
    .update(idempotency)
    .set({ status: 'done', responseStatus: answer.status, responseHeaders: answer.headers, responseBody: answer.body })
    .where(held(claim));
}

/** Gives the lock back without an answer: the request may be made again. */
export async function releaseIdempotencyKey(db: Database, claim: Pick<Claim, 'tenant' | 'key' | 'lockedUntil'>): Promise<void> {
  await db.delete(idempotency).where(held(claim));
}

const held = (claim: Pick<Claim, 'tenant' | 'key' | 'lockedUntil'>) =>
  and(
    eq(idempotency.tenantId, claim.tenant),
    eq(idempotency.key, claim.key),
    eq(idempotency.status, 'in_flight'),
    eq(idempotency.lockedUntil, claim.lockedUntil),
  );

/** For the sweep: at most 1,000 rows at once, so that the statement stays short. */
export async function forgetOldIdempotencyKeys(db: Database, keptSince: number): Promise<void> {
  await db.run(
    sql`delete from ${idempotency} where rowid in (select rowid from ${idempotency} where ${idempotency.createdAt} < ${keptSince} limit 1000)`,
  );
}
