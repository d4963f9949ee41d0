/** The examples that the version being served was solved from: those of an older version after a rollback, not those enrolled since. */
import * as records from './records.ts';
import type { Member, Seen } from './records.ts';

export type ServedMembers = { readonly version: number; readonly labels: ReadonlySet<string>; readonly members: readonly Member[] };

/**
 * What a version was solved from. A restored version has a new number; its examples are those of the version that it brought back, and training rows that
 * joined when a refused candidate was activated by hand: the only ones that begin with a restored version.
 */
export function seenBy(sql: SqlStorage, version: number): Seen {
  const brought: number[] = [];
  let upTo = version;
  for (let of = records.selectVersion(sql, upTo, null); of?.kind === 'restored' && of.parent !== null; of = records.selectVersion(sql, upTo, null)) {
    brought.push(of.n);
    upTo = of.parent;
  }
  return { upTo, brought };
}

/** Members carry only labels that the version has; those that were given none (rows of a multi-label dataset) carry none. */
export function servedMembers(sql: SqlStorage): ServedMembers {
  const version = records.activeVersion(sql);
  const labels = new Set(records.selectVersion(sql, version, null)?.labels ?? []);
  const members = records.membersAt(sql, seenBy(sql, version), null);
  const known = members.filter((m) => m.labels.length === 0 || m.labels.some((name) => labels.has(name)));
  return { version, labels, members: known.map((m) => ({ ...m, labels: m.labels.filter((name) => labels.has(name)) })) };
}

/** At most `max` of them, spread evenly, so that a bound on the work leaves no class out. */
export function thin<T>(items: readonly T[], max: number): readonly T[] {
  if (items.length <= max) return items;
  return Array.from({ length: max }, (_, i) => items[Math.floor((i * items.length) / max)]!);
}
