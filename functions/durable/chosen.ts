/** Which version somebody, or a job, wanted last: what a job compared its candidate with may be another by the time it ends. */
import { latestVersion } from './records.ts';
import { readMeta, writeMeta } from './tables.ts';

/** From now on this is the version that enrolling builds on. */
export function chose(sql: SqlStorage, n: number): void {
  writeMeta(sql, 'activated', String(n));
  writeMeta(sql, 'activated_after', String(latestVersion(sql)));
}

/** Whether another version than the one compared with was chosen since: enrolling on top of it is no choice. */
export function overtakenSince(sql: SqlStorage, comparedWith: number): boolean {
  return Number(readMeta(sql, 'activated_after') ?? -1) >= comparedWith && readMeta(sql, 'activated') !== String(comparedWith);
}
