/** Target inputs of adaptations: their embeddings stay as long as a version is kept that is solved against them. */
import { decodeSafetensors, encodeSafetensors, takeTensor, tensor, type Tensor } from '../../shared/safetensors.ts';
import type { Embeddings } from '../learning/score-head.ts';
import { deleteBlob, readBlob, writeBlob } from './tables.ts';

const PREFIX = 'target:';

/** The name under which `readTarget` finds them. @param version the one that adapts to them first */
export function keepTarget(sql: SqlStorage, version: number, rows: readonly Embeddings[], dimension: number): string {
  const matrix = (embeddings: readonly Float32Array[]): Tensor => {
    const data = new Float32Array(embeddings.length * dimension);
    for (const [i, row] of embeddings.entries()) data.set(row, i * dimension);
    return tensor('F32', [embeddings.length, dimension], data);
  };
  const tuned = rows.flatMap((row) => row.tuned ?? []);
  const key = `${PREFIX}${version}`;
  const more = tuned.length > 0 ? { tuned: matrix(tuned) } : {};
  writeBlob(sql, key, encodeSafetensors({ embeddings: matrix(rows.map((row) => row.base)), ...more }));
  return key;
}

/** @throws Error when they are gone: a version that needs them must have been pruned before */
export function readTarget(sql: SqlStorage, key: string): Embeddings[] {
  const bytes = readBlob(sql, key);
  if (!bytes) throw new Error(`the target inputs ${key} are gone`);
  const file = decodeSafetensors(bytes);
  const matrix = (name: string): Float32Array[] => {
    const { shape, data } = takeTensor(file, name, 'F32', 2);
    const d = shape[1] ?? 0;
    return Array.from({ length: shape[0] ?? 0 }, (_, i) => data.slice(i * d, (i + 1) * d));
  };
  const tuned = file.tensors['tuned'] ? matrix('tuned') : [];
  return matrix('embeddings').map((base, i) => ({ base, tuned: tuned[i] ?? null }));
}

/** Those that no version refers to any more. */
export function forgetUnusedTargets(sql: SqlStorage): void {
  const kept = sql.exec<{ key: string }>(`SELECT DISTINCT key FROM blobs WHERE key LIKE '${PREFIX}%'`).toArray();
  for (const { key } of kept) {
    const used = sql.exec("SELECT 1 FROM versions WHERE json_extract(recipe, '$.adaptation.target') = ? LIMIT 1", key).toArray();
    if (used.length === 0) deleteBlob(sql, key);
  }
}
