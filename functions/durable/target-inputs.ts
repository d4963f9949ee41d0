/** Target inputs of adaptations: their embeddings stay as long as a version is kept that is solved against them. */
import { decodeSafetensors, encodeSafetensors, takeTensor, tensor } from '../../shared/safetensors.ts';
import { deleteBlob, readBlob, writeBlob } from './tables.ts';

const PREFIX = 'target:';

/** The name under which `readTarget` finds them. @param version the one that adapts to them first */
export function keepTarget(sql: SqlStorage, version: number, rows: readonly Float32Array[], dimension: number): string {
  const data = new Float32Array(rows.length * dimension);
  for (const [i, row] of rows.entries()) data.set(row, i * dimension);
  const key = `${PREFIX}${version}`;
  writeBlob(sql, key, encodeSafetensors({ embeddings: tensor('F32', [rows.length, dimension], data) }));
  return key;
}

/** @throws Error when they are gone: a version that needs them must have been pruned before */
export function readTarget(sql: SqlStorage, key: string): Float32Array[] {
  const bytes = readBlob(sql, key);
  if (!bytes) throw new Error(`the target inputs ${key} are gone`);
  const { shape, data } = takeTensor(decodeSafetensors(bytes), 'embeddings', 'F32', 2);
  const d = shape[1] ?? 0;
  return Array.from({ length: shape[0] ?? 0 }, (_, i) => data.slice(i * d, (i + 1) * d));
}

/** Those that no version refers to any more. */
export function forgetUnusedTargets(sql: SqlStorage): void {
  const kept = sql.exec<{ key: string }>(`SELECT DISTINCT key FROM blobs WHERE key LIKE '${PREFIX}%'`).toArray();
  for (const { key } of kept) {
    const used = sql.exec("SELECT 1 FROM versions WHERE json_extract(recipe, '$.adaptation.target') = ? LIMIT 1", key).toArray();
    if (used.length === 0) deleteBlob(sql, key);
  }
}
