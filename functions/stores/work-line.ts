/**
 * Whose work is next. One common table says it for the lease and for whoever asks where a job stands, so that the two cannot differ. It reads the waiting
 * work of the kinds asked for, all leases that are held, and one entry of an index for each tenant that waits.
 */
import { sql, type SQL } from 'drizzle-orm';
import type { WorkKind } from '../../shared/jobs.ts';
import type { Database } from '../db/database.ts';

/**
 * For `with`: a table `line` of waiting work, `id`, `available_at` and `position` (from 1 over all of `kinds`). Tenants take turns: first whoever has
 * least in work, then whoever was served longest ago, then the older one. The second counts where there is one host, because nobody has anything in work
 * when it asks. `place` is how much of its own tenant's work comes before a row: so much more will be in work when its turn comes. Work that waits after
 * a failure stands behind what may be had now.
 */
export function line(kinds: readonly WorkKind[], now: number): SQL {
  const names = sql.join(
    kinds.map((kind) => sql`${kind}`),
    sql`, `,
  );
  return sql`
    waiting as materialized (
      select id, kind, tenant_id, available_at, row_number() over (partition by kind, tenant_id order by available_at, id) - 1 as place
      from work where status = 'queued' and kind in (${names})
    ),
    running as materialized (select kind, tenant_id, count(*) as n from work where status = 'leased' group by kind, tenant_id),
    turns as materialized (
      select kind, tenant_id,
        coalesce((select n from running r where r.kind = w.kind and r.tenant_id = w.tenant_id), 0) as running,
        coalesce((select max(leased_at) from work d where d.kind = w.kind and d.tenant_id = w.tenant_id), 0) as served
      from waiting w where place = 0
    ),
    line as (
      select id, available_at, row_number() over (order by available_at > ${now}, running + place, place, served, available_at, id) as position
      from waiting join turns using (kind, tenant_id)
    )`;
}

/** By id, of those that wait: 1 for the piece of work of its kind that the next host gets. One look at the line, however many are asked for. */
export async function queuePositions(db: Database, kind: WorkKind, ids: readonly string[], now: number): Promise<Map<string, number>> {
  const asked = sql`select value from json_each(${JSON.stringify(ids)})`;
  const rows = await db.all<{ id: string; position: number }>(sql`with ${line([kind], now)} select id, position from line where id in (${asked})`);
  return new Map(rows.map(({ id, position }) => [id, position]));
}
