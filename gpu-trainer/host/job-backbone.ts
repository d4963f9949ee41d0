/** Backbone files on the host, kept between jobs under the digest that names them; and label names as that backbone reads them. */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../../shared/errors.ts';
import { TEXT_MAX_TOKENS } from '../../shared/limits.ts';
import { encodeSafetensors, tensor } from '../../shared/safetensors.ts';
import type { WorkBackbone } from '../../shared/runner.ts';
import type { Tokenizer } from '../../shared/preprocess/wordpiece.ts';
import { download, sha256OfFile } from './transfer.ts';

const FOLDER = 'backbones';

/** The folder with `manifest.json` and the files that it names. */
export async function fetchBackbone(backbone: WorkBackbone, workDir: string, signal: AbortSignal): Promise<string> {
  const m = backbone.manifest;
  const dir = path.join(workDir, FOLDER, `${m.id}-${m.tail.model.sha256.slice(0, 16)}`);
  await mkdir(dir, { recursive: true });
  const files = [m.trunk.model, m.trunk.data, m.tail.model, m.tail.data, m.weights, m.background, m.background_inputs, m.vocabulary].filter(
    (f) => f !== null,
  );
  for (const f of files) {
    const file = path.join(dir, f.name);
    const there = await stat(file).catch(() => null);
    if (there?.size === f.bytes && (await sha256OfFile(file)) === f.sha256) continue;
    const from = backbone.files[f.name];
    if (!from) throw new GraftError('internal', `the lease has no download for the backbone's ${f.name}`);
    // Under a name of its own: two slots of a host may fetch one backbone, and each must place what it has checked.
    const part = `${file}.${randomUUID()}.part`;
    await download({ ...from, sha256: f.sha256 }, part, signal);
    await rename(part, file);
  }
  const part = path.join(dir, `manifest.json.${randomUUID()}.part`);
  await writeFile(part, JSON.stringify(m));
  await rename(part, path.join(dir, 'manifest.json'));
  return dir;
}

/** Deletes what a host that was killed left half written. */
export async function removeHalves(workDir: string): Promise<void> {
  for (const name of await readdir(path.join(workDir, FOLDER), { recursive: true }).catch((): string[] => []))
    if (name.endsWith('.part')) await rm(path.join(workDir, FOLDER, name), { force: true });
}

/** `input_ids` I32 [n, 128] (zero-padded) and `lengths` I32 [n] of these texts. */
export function encodeTokens(texts: readonly string[], tokenize: Tokenizer): Uint8Array {
  const ids = new Int32Array(texts.length * TEXT_MAX_TOKENS);
  const lengths = new Int32Array(texts.length);
  for (const [i, text] of texts.entries()) {
    const tokens = tokenize(text, TEXT_MAX_TOKENS);
    ids.set(tokens, i * TEXT_MAX_TOKENS);
    lengths[i] = tokens.length;
  }
  return encodeSafetensors({
    input_ids: tensor('I32', [texts.length, TEXT_MAX_TOKENS], ids),
    lengths: tensor('I32', [texts.length], lengths),
  });
}
