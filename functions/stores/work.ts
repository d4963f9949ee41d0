/**
 * Leases: who may work on what. Every statement of a lease holder carries the hash of its token, and a token dies when another host gets the work,
 * so a host that was away too long can change nothing. The fence (a number that grows with every lease) is part of every object key it writes.
 */
import { and, asc, eq, inArray, isNotNull, isNull, lt, ne, or, sql, type SQL } from 'drizzle-orm';
import type { WorkKind } from '../../shared/jobs.ts';
import { LEASE_TTL_SECONDS } from '../../shared/limits.ts';
import type { Database } from '../db/database.ts';
import { insertIfChanged } from '../db/insert-if-changed.ts';
import { hosts, jobEvents, jobs, work } from '../db/schema.ts';
import { nextEvent } from './jobs.ts';
import { tidyFrom } from './ended-work.ts';
import { line } from './work-line.ts';

export type WorkRow = typeof work.$inferSelect;

/** A statement that makes a piece of work if the statement directly before it in the batch changed a row. */
export function insertWorkIfChanged(db: Database, row: { id: string; kind: WorkKind; tenant: string; now: number }) {
  const { id, kind, tenant: tenantId, now } = row;
  return insertIfChanged(db, work, { id, kind, tenantId, status: 'queued', availableAt: now, createdAt: now });
}

export function insertWork(db: Database, row: { id: string; kind: WorkKind; tenant: string; now: number }) {
  return db.insert(work).values({ id: row.id, kind: row.kind, tenantId: row.tenant, status: 'queued', availableAt: row.now, createdAt: row.now });
}

/**
 * Three statements for one batch that give the first piece of work in line to one host, move its job to `validating` and say so in its log. The first is one
 * conditional statement, so of two hosts exactly one gets the work; together no job is ever leased and queued at the same time.
 */
export function leaseWork(db: Database, lease: { kinds: readonly WorkKind[]; host: string; tokenHash: string; now: number; expiresAt: number }) {
  const next = sql`(with ${line(lease.kinds, lease.now)} select id from line where available_at <= ${lease.now} order by position limit 1)`;
  // A host that asks twice with one token gets one piece of work.
  const isNew = sql`not exists (select 1 from work held where held.token_hash = ${lease.tokenHash})`;
  const claim = db
    .update(work)
    .set({
      status: 'leased',
      fence: sql`${work.fence} + 1`,
      attempts: sql`${work.attempts} + 1`,
      tokenHash: lease.tokenHash,
      host: lease.host,
      expiresAt: lease.expiresAt,
      leasedAt: lease.now,
      told: 0,
      command: 'continue',
    })
    .where(and(eq(work.id, next), eq(work.status, 'queued'), isNew))
    .returning();
  const mine = db.select({ id: work.id }).from(work).where(eq(work.tokenHash, lease.tokenHash));
  const move = db
    .update(jobs)
    .set({ status: 'validating', startedAt: sql`coalesce(${jobs.startedAt}, ${lease.now})` })
    .where(and(sql`changes() > 0`, eq(jobs.id, mine), eq(jobs.status, 'queued')))
    .returning();
  const of = (what: SQL) => sql`(select ${what} from work where token_hash = ${lease.tokenHash})`;
  const data = of(sql`json_object('status', 'validating', 'host', host, 'attempt', attempts)`);
  const tell = insertIfChanged(db, jobEvents, { ...nextEvent(of(sql`id`)), type: 'status', data, createdAt: lease.now });
  return [claim, move, tell] as const;
}

/** The work that this token holds now, or null when the lease has passed on. */
export async function findLease(db: Database, tokenHash: string): Promise<WorkRow | null> {
  const [row] = await db.select().from(work).where(byHolder(tokenHash));
  return row ?? null;
}

/** The work that this token has completed, for the repetition of a completion. */
export async function findCompleted(db: Database, tokenHash: string): Promise<WorkRow | null> {
  const [row] = await db
    .select()
    .from(work)
    .where(and(eq(work.completionTokenHash, tokenHash), eq(work.status, 'done')));
  return row ?? null;
}

const held = (id: string, tokenHash: string) => and(eq(work.id, id), eq(work.tokenHash, tokenHash), eq(work.status, 'leased'));

const byHolder = (tokenHash: string) => and(eq(work.tokenHash, tokenHash), eq(work.status, 'leased'));

/** A statement. It also heads batches of a lease holder: what follows "if changed" happens only while the lease is held. */
export function renewLease(db: Database, tokenHash: string, expiresAt: number) {
  return db.update(work).set({ expiresAt }).where(byHolder(tokenHash)).returning();
}

/**
 * The same, and nothing follows for a job that was cancelled (its log has ended, though its host does not know it yet), nor for an event whose number, or a
 * later one, was told before.
 */
export function renewTelling(db: Database, tokenHash: string, expiresAt: number, event: number | null = null) {
  return db
    .update(work)
    .set({ expiresAt, ...(event === null ? {} : { told: event }) })
    .where(and(byHolder(tokenHash), ne(work.command, 'cancel'), event === null ? undefined : lt(work.told, event)))
    .returning();
}

/** Remembers what the host was given. */
export async function setInputs(db: Database, id: string, tokenHash: string, inputs: unknown): Promise<boolean> {
  return (await db.update(work).set({ inputs }).where(held(id, tokenHash)).returning({ id: work.id })).length > 0;
}

/**
 * A statement: the lease ends and the work waits again, is held, or is dead. Only if what that was decided on is still so: what the owner wants of the
 * holder and, with `expiredBefore`, that the holder has not been heard of since.
 */
export function endLease(
  db: Database,
  seen: { id: string; tokenHash: string; command: WorkRow['command']; expiredBefore: number | null; now: number },
  next: { status: 'queued' | 'held' | 'dead'; availableAt: number; attempts: number; command: 'continue' | 'cancel'; leasedAt: number | null },
) {
  return (
    db
      .update(work)
      .set({ ...next, tokenHash: null, host: null, expiresAt: null, tidyAt: next.status === 'dead' ? tidyFrom(seen.now) : null })
      // A completion that was verified meanwhile has the right of way.
      .where(
        and(
          held(seen.id, seen.tokenHash),
          isNull(work.pending),
          eq(work.command, seen.command),
          seen.expiredBefore === null ? undefined : lt(work.expiresAt, seen.expiredBefore),
        ),
      )
  );
}

/** A statement: a verified completion is about to be carried out. From here on the work can only be finished. */
export function beginCompletion(db: Database, id: string, tokenHash: string, pending: unknown, digest: string) {
  return db
    .update(work)
    .set({ pending, completionTokenHash: tokenHash, completionDigest: digest })
    .where(and(held(id, tokenHash), isNull(work.pending), ne(work.command, 'cancel')));
}

/** A statement: the work is done and its answer kept for whoever asks again. */
export function finishWork(db: Database, id: string, of: { tokenHash: string; digest: string; answer: unknown; now: number }) {
  const { tokenHash, digest, answer, now } = of;
  return db
    .update(work)
    .set({
      status: 'done',
      pending: null,
      completionTokenHash: tokenHash,
      completionDigest: digest,
      completionAnswer: answer,
      tokenHash: null,
      expiresAt: null,
      tidyAt: tidyFrom(now),
    })
    .where(held(id, tokenHash));
}

export async function getWork(db: Database, id: string): Promise<WorkRow | null> {
  const [row] = await db.select().from(work).where(eq(work.id, id));
  return row ?? null;
}

/** By id; D1 binds a hundred values at most, so the ids are one of them. */
export async function getWorks(db: Database, ids: readonly string[]): Promise<Map<string, WorkRow>> {
  const rows = await db
    .select()
    .from(work)
    .where(sql`${work.id} in (select value from json_each(${JSON.stringify(ids)}))`);
  return new Map(rows.map((row) => [row.id, row]));
}

/** Leases that ran out, oldest first; verified completions after the others, because one that cannot be carried out yet stays for hours. */
export async function expiredLeases(db: Database, now: number, limit: number): Promise<WorkRow[]> {
  return await db
    .select()
    .from(work)
    .where(and(eq(work.status, 'leased'), isNotNull(work.tokenHash), lt(work.expiresAt, now)))
    .orderBy(sql`${work.pending} is not null`, asc(work.expiresAt))
    .limit(limit);
}

/** Asks the lease holder to stop or go on. False when nobody holds the work, or it is to be dropped already. */
export async function commandHolder(db: Database, id: string, command: 'continue' | 'pause'): Promise<boolean> {
  const rows = await db
    .update(work)
    .set({ command })
    .where(and(eq(work.id, id), eq(work.status, 'leased'), isNull(work.pending), ne(work.command, 'cancel')))
    .returning({ id: work.id });
  return rows.length > 0;
}

/** A statement for the batch that cancels: a holder is told at its next heartbeat, waiting work is dead at once. */
export function cancelWorkIfChanged(db: Database, id: string, now: number) {
  const held = sql`${work.status} = 'leased'`;
  return db
    .update(work)
    .set({
      command: 'cancel',
      status: sql`case when ${held} then 'leased' else 'dead' end`,
      tidyAt: sql`case when ${held} then null else ${tidyFrom(now)} end`,
    })
    .where(and(eq(work.id, id), sql`changes() > 0`));
}

/** A statement for the batches that pause and resume work which nobody holds. */
export function moveWaitingWorkIfChanged(db: Database, id: string, to: 'held' | 'queued', now: number) {
  return db
    .update(work)
    .set({ status: to, command: 'continue', availableAt: now })
    .where(and(eq(work.id, id), inArray(work.status, ['queued', 'held']), sql`changes() > 0`));
}

/** A statement: held work waits again as if it were new, with all its attempts, if the statement directly before changed a row. */
export function restartHeldWorkIfChanged(db: Database, id: string, now: number) {
  return db
    .update(work)
    .set({ status: 'queued', command: 'continue', attempts: 0, availableAt: now })
    .where(and(eq(work.id, id), eq(work.status, 'held'), sql`changes() > 0`));
}

/** A statement: work whose owner was deleted is never leased again. */
export function killWork(db: Database, id: string, now: number) {
  return db
    .update(work)
    .set({ status: 'dead', tokenHash: null, expiresAt: null, tidyAt: tidyFrom(now) })
    .where(and(eq(work.id, id), or(eq(work.status, 'queued'), eq(work.status, 'leased'), eq(work.status, 'held'))));
}

/** Remembers when a host asked for each kind of work: the two slots of a host ask one after the other, and each for its own kind. */
export async function sawHost(db: Database, host: { name: string; kinds: readonly WorkKind[]; device: string; now: number }): Promise<void> {
  const asked = Object.fromEntries(host.kinds.map((kind) => [kind, host.now]));
  const seen = { device: host.device, lastSeenAt: host.now };
  await db
    .insert(hosts)
    .values({ name: host.name, kinds: asked, ...seen })
    .onConflictDoUpdate({ target: hosts.name, set: { ...seen, kinds: sql`json_patch(${hosts.kinds}, excluded.kinds)` } });
}

/** When any host last asked for this kind of work or reported from some that it holds; null when none ever did. */
export async function lastHostSeen(db: Database, kind: WorkKind): Promise<number | null> {
  const [[asked], [held]] = await db.batch([
    db.select({ at: sql<number | null>`max(json_extract(${hosts.kinds}, ${`$.${kind}`}))` }).from(hosts),
    db
      .select({ until: sql<number | null>`max(${work.expiresAt})` })
      .from(work)
      // The lease of a completion that waits is renewed by the sweep, not by its host.
      .where(and(eq(work.kind, kind), eq(work.status, 'leased'), isNull(work.pending))),
  ]);
  const reported = held?.until ? held.until - LEASE_TTL_SECONDS * 1_000 : null;
  return asked?.at || reported ? Math.max(asked?.at ?? 0, reported ?? 0) : null;
}
