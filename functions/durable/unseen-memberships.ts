/** What no version that is kept was solved from: a label that an example once had is of use only as long as somebody can go back to it. */
import { seenBy } from './served-members.ts';

/**
 * Each new label of an example, and each training on it, leaves a row behind, and every look at the examples reads them all. A row is seen by versions from
 * its own number on, up to the example's next row; the last one is what the example has now.
 */
export function forgetUnseenMemberships(sql: SqlStorage): void {
  const { several } = sql.exec<{ several: number }>('SELECT (SELECT count(*) FROM memberships) > (SELECT count(*) FROM examples) AS several').one();
  if (!several) return;
  const versions = sql.exec<{ n: number }>('SELECT n FROM versions').toArray();
  const seen = versions.map(({ n }) => seenBy(sql, n));
  sql.exec(
    `DELETE FROM memberships AS m
     WHERE EXISTS (SELECT 1 FROM memberships l WHERE l.example_id = m.example_id AND l.since > m.since)
       AND m.since NOT IN (SELECT value FROM json_each(?))
       AND NOT EXISTS (SELECT 1 FROM json_each(?) v WHERE v.value >= m.since
         AND v.value < (SELECT min(l.since) FROM memberships l WHERE l.example_id = m.example_id AND l.since > m.since))`,
    JSON.stringify([...new Set(seen.flatMap(({ brought }) => brought))]),
    JSON.stringify([...new Set(seen.map(({ upTo }) => upTo))]),
  );
}
