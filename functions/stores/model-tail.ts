/** Where a fine-tuned model's tail graph lies. By id alone: a model id comes from a served version, never from a caller. */
import { eq } from 'drizzle-orm';
import { ModelManifest } from '../../shared/engine.ts';
import type { Database } from '../db/database.ts';
import { models } from '../db/schema.ts';

type TailFile = { readonly name: string; readonly key: string; readonly sha256: string; readonly bytes: number };

/** Null when there is no such model or it has no tail. A deleted model's row stays, so a version that still serves it goes on. */
export async function findModelTail(db: Database, id: string): Promise<{ model: TailFile; data: TailFile | null } | null> {
  const [row] = await db.select({ manifest: models.manifest, files: models.files }).from(models).where(eq(models.id, id));
  if (!row) return null;
  const manifest = ModelManifest.parse(row.manifest);
  const fileOf = (name: string): TailFile | null => {
    const file = manifest.files.find((f) => f.name === name);
    const key = row.files[name];
    return file && key !== undefined ? { name, key, sha256: file.sha256, bytes: file.bytes } : null;
  };
  const model = fileOf('tail.onnx');
  return model && { model, data: fileOf('tail.onnx.data') };
}
