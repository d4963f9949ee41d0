/** Background embeddings (base and of a trained tail), read once from object storage and then kept in the object's own tables. */
import { BackboneManifest } from '../../shared/catalogue.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { decodeSafetensors, encodeSafetensors, takeTensor, tensor } from '../../shared/safetensors.ts';
import type { Objects } from '../objects/objects.ts';
import { readBlob, writeBlob } from './tables.ts';

function rowsOf(bytes: Uint8Array, name: string): Float32Array[] {
  const { shape, data } = takeTensor(decodeSafetensors(bytes), name, 'F32', 2);
  const d = shape[1] ?? 0;
  return Array.from({ length: shape[0] ?? 0 }, (_, i) => data.slice(i * d, (i + 1) * d));
}

/** Raw base embeddings of the background; none for the vector modality, where there is no backbone. */
export async function baseBackground(sql: SqlStorage, objects: Objects, backbone: string | null): Promise<Float32Array[]> {
  if (backbone === null) return [];
  const kept = readBlob(sql, 'background:base');
  if (kept) return rowsOf(kept, 'embeddings');
  const manifest = await objects.get(objectKeys.backboneManifest(backbone));
  if (!manifest) throw new Error(`the manifest of backbone ${backbone} is not in object storage`);
  const { background } = BackboneManifest.parse(JSON.parse(new TextDecoder().decode(manifest)));
  const bytes = await objects.get(objectKeys.blob(background.sha256));
  if (!bytes) throw new Error(`the background of backbone ${backbone} is not in object storage`);
  writeBlob(sql, 'background:base', bytes);
  return rowsOf(bytes, 'embeddings');
}

/** The background through a model's tuned tail; none when the model has no tail of its own. */
export function tunedBackground(sql: SqlStorage, model: string | null): Float32Array[] {
  const kept = model === null ? null : readBlob(sql, `background:${model}`);
  return kept ? rowsOf(kept, 'embeddings') : [];
}

export function keepTunedBackground(sql: SqlStorage, model: string, data: Float32Array, dimension: number): void {
  writeBlob(sql, `background:${model}`, encodeSafetensors({ embeddings: tensor('F32', [data.length / dimension, dimension], data) }));
}
