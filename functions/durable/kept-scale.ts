/** How a refinement reads vectors: the same from its first slice to the version that it makes. */
import type { Standardisation } from '../../shared/head.ts';
import { deleteBlob, readBlob, toBuffer, writeBlob } from './tables.ts';

const KEY = 'refinement:scale';

export function keepScale(sql: SqlStorage, by: Standardisation | null): void {
  if (!by) return;
  const d = by.mean.length;
  const all = new Float32Array(2 * d + 1);
  all.set(by.mean);
  all.set(by.scale, d);
  all[2 * d] = by.constant;
  writeBlob(sql, KEY, new Uint8Array(toBuffer(all)));
}

/** Null where embeddings are read as they come. */
export function keptScale(sql: SqlStorage): Standardisation | null {
  const bytes = readBlob(sql, KEY);
  if (!bytes) return null;
  const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const d = (all.length - 1) / 2;
  return { mean: all.slice(0, d), scale: all.slice(d, 2 * d), constant: all[2 * d]! };
}

export const dropScale = (sql: SqlStorage): void => deleteBlob(sql, KEY);
