/** Where the graphs of a fine-tuned model lie. By id alone: a model id comes from a served version, never from a caller. */
import { eq } from 'drizzle-orm';
import { ModelManifest } from '../../shared/model-manifest.ts';
import type { Database } from '../db/database.ts';
import { models } from '../db/schema.ts';

type ModelFile = { readonly name: string; readonly key: string; readonly sha256: string; readonly bytes: number };
type ModelGraph = { readonly model: ModelFile; readonly data: ModelFile | null };

/**
 * `trunk` is null where the shared one feeds the tail. Null when there is no such model or it has no tail. A deleted model's row stays, so a version
 * that still serves it goes on.
 */
export async function findModelNetwork(db: Database, id: string): Promise<{ trunk: ModelGraph | null; tail: ModelGraph } | null> {
  const [row] = await db.select({ manifest: models.manifest, files: models.files }).from(models).where(eq(models.id, id));
  if (!row) return null;
  const manifest = ModelManifest.parse(row.manifest);
  const fileOf = (name: string): ModelFile | null => {
    const file = manifest.files.find((f) => f.name === name);
    const key = row.files[name];
    return file && key !== undefined ? { name, key, sha256: file.sha256, bytes: file.bytes } : null;
  };
  const graphOf = (name: string): ModelGraph | null => {
    const model = fileOf(name);
    return model && { model, data: fileOf(`${name}.data`) };
  };
  const tail = graphOf('tail.onnx');
  if (!tail) return null;
  const whole = manifest.network === 'whole';
  const trunk = whole ? graphOf('trunk.onnx') : null;
  // Its tail on the shared trunk would answer nonsense.
  return whole && !trunk ? null : { trunk, tail };
}
