/** The examples that the version being served was solved from: those of an older version after a rollback, not those enrolled since. */
import * as records from './records.ts';
import type { Member } from './records.ts';

export type ServedMembers = { readonly version: number; readonly labels: ReadonlySet<string>; readonly members: readonly Member[] };

/** Members carry only labels that the version has; those that were given none (rows of a multi-label dataset) carry none. */
export function servedMembers(sql: SqlStorage): ServedMembers {
  const version = records.activeVersion(sql);
  const active = records.selectVersion(sql, version, null);
  const labels = new Set(active?.labels ?? []);
  // A restored version has a new number; its examples are those of the version that it brought back.
  const restored: number[] = [];
  let source = version;
  for (let seen = active; seen?.kind === 'restored' && seen.parent !== null; seen = records.selectVersion(sql, source, null)) {
    restored.push(seen.n);
    source = seen.parent;
  }
  const members = [...records.membersAt(sql, source, null), ...broughtBy(sql, restored)];
  const known = members.filter((m) => m.labels.length === 0 || m.labels.some((name) => labels.has(name)));
  return { version, labels, members: known.map((m) => ({ ...m, labels: m.labels.filter((name) => labels.has(name)) })) };
}

/** Training rows that joined when a refused candidate was activated by hand: the only examples that begin with a restored version. */
function broughtBy(sql: SqlStorage, versions: readonly number[]): Member[] {
  if (versions.length === 0) return [];
  const began = sql
    .exec<{ example_id: string; since: number }>('SELECT example_id, min(since) AS since FROM memberships GROUP BY example_id')
    .toArray();
  const ids = new Set(began.filter((row) => versions.includes(row.since)).map((row) => row.example_id));
  return ids.size === 0 ? [] : records.membersAt(sql, null, null).filter((m) => ids.has(m.id));
}

/** At most `max` of them, spread evenly, so that a bound on the work leaves no class out. */
export function thin<T>(items: readonly T[], max: number): readonly T[] {
  if (items.length <= max) return items;
  return Array.from({ length: max }, (_, i) => items[Math.floor((i * items.length) / max)]!);
}
