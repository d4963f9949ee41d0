/** Embeddings of a set through the shipped decoder, tokeniser and graphs; computed once and cached under a digest of set and backbone. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { labelWordings } from '../../../functions/domain/label-text.ts';
import { backgroundCenter } from '../../../functions/learning/features.ts';
import { inPlainStyle, meanWording } from '../../../functions/learning/label-names.ts';
import { BackboneManifest, SHIPPED_BACKBONES } from '../../../shared/catalogue.ts';
import { TEXT_MAX_TOKENS } from '../../../shared/limits.ts';
import { makeDecoder } from '../../../shared/preprocess/decoder.ts';
import { makeTokenizer } from '../../../shared/preprocess/wordpiece.ts';
import { decodeSafetensors, encodeSafetensors, takeTensor, tensor, type Tensor } from '../../../shared/safetensors.ts';
import { BACKBONES, CACHE, PYTHON, ROOT } from '../../paths.ts';
import { progressBar } from '../../progress.ts';
import type { LabelledSet } from './sets.ts';

type Rows = {
  readonly name: string;
  readonly labels: readonly string[];
  readonly names: readonly string[];
  readonly ids: readonly string[];
  /** Per row: index into `labels`. */
  readonly y: readonly number[];
  readonly rows: readonly Float32Array[];
  /** Embedded label names; text only. */
  readonly nameRows: readonly Float32Array[] | null;
};
export type EmbeddedSet = Rows & { readonly modality: 'image' | 'text' };
/** Or rows of a table, which no backbone made. */
export type MeasuredSet = EmbeddedSet | (Rows & { readonly modality: 'vector' });

const SQUARE = 256 * 256 * 3;

function rowsOf(file: string, name = 'embeddings'): Float32Array[] {
  const { shape, data } = takeTensor(decodeSafetensors(new Uint8Array(readFileSync(file))), name, 'F32', 2);
  const d = shape[1] ?? 0;
  return Array.from({ length: shape[0] ?? 0 }, (_, i) => data.slice(i * d, (i + 1) * d));
}

export function backboneFolder(modality: 'image' | 'text'): string {
  return join(BACKBONES, SHIPPED_BACKBONES[modality]);
}

/** How many values of an embedding are those that the published network gives; the others are read from its trunk. */
export function publishedDimension(modality: 'image' | 'text'): number {
  const manifest = BackboneManifest.parse(JSON.parse(readFileSync(join(backboneFolder(modality), 'manifest.json'), 'utf8')));
  return manifest.own_dimension ?? manifest.dimension;
}

/** Background embeddings of a shipped backbone; vectors have none. */
export const backgroundOf = (modality: MeasuredSet['modality']): Float32Array[] =>
  modality === 'vector' ? [] : rowsOf(join(backboneFolder(modality), 'background.safetensors'));

/** Runs the engine's embedder over arrays and caches the result by their digest. */
export function embedArrays(title: string, modality: 'image' | 'text', arrays: Uint8Array): Float32Array[] {
  const folder = backboneFolder(modality);
  const hash = createHash('sha256')
    .update(arrays)
    .update(readFileSync(join(folder, 'manifest.json')))
    .digest('hex')
    .slice(0, 24);
  const out = join(CACHE, 'embeddings', `${hash}.safetensors`);
  if (!existsSync(out)) {
    mkdirSync(join(CACHE, 'embeddings'), { recursive: true });
    const bar = progressBar(`Embedding ${title}`);
    bar.tick(null);
    // Two benchmarks may embed the same set at once.
    const part = `${out}.${process.pid}.part`;
    const given = `${out}.${process.pid}.arrays`;
    writeFileSync(given, arrays);
    const { status, stderr } = spawnSync(PYTHON, ['-m', 'engine.embed', folder, given, part], {
      cwd: join(ROOT, 'gpu-trainer'),
      encoding: 'utf8',
    });
    rmSync(given);
    if (status !== 0) throw new Error(`embedding ${title}: ${stderr}`);
    renameSync(part, out);
    bar.end();
  }
  return rowsOf(out);
}

/** Token rows as the engine's arrays. */
export function textTensors(texts: readonly string[]): Record<string, Tensor> {
  const tokenize = makeTokenizer(readFileSync(join(backboneFolder('text'), 'vocab.txt'), 'utf8'));
  const tokens = texts.map((text) => tokenize(text, TEXT_MAX_TOKENS));
  const ids = new Int32Array(tokens.length * TEXT_MAX_TOKENS);
  for (const [i, row] of tokens.entries()) ids.set(row, i * TEXT_MAX_TOKENS);
  return {
    input_ids: tensor('I32', [tokens.length, TEXT_MAX_TOKENS], ids),
    lengths: tensor(
      'I32',
      [tokens.length],
      Int32Array.from(tokens, (row) => row.length),
    ),
  };
}

/** Decoded squares as the engine's arrays. */
export function pictureTensors(pictures: readonly Uint8Array[]): Record<string, Tensor> {
  const wasm = new Uint8Array(readFileSync(join(ROOT, 'shared/preprocess/imgdec.wasm')));
  const decoder = makeDecoder(new WebAssembly.Module(wasm));
  const pixels = new Uint8Array(pictures.length * SQUARE);
  for (const [i, bytes] of pictures.entries()) pixels.set(decoder.decodeSquare(bytes).pixels, i * SQUARE);
  return { pixels: tensor('U8', [pictures.length, 256, 256, 3], pixels) };
}

export const embedTexts = (title: string, texts: readonly string[]): Float32Array[] =>
  embedArrays(title, 'text', encodeSafetensors(textTensors(texts)));

/** Label names as the edge embeds them. */
function embedNames(title: string, names: readonly string[]): Float32Array[] {
  const wordings = names.map(labelWordings);
  const rows = embedTexts(`label names of ${title}`, wordings.flat());
  const usual = backgroundCenter(backgroundOf('text'), 'l2', rows[0]!.length);
  const own = publishedDimension('text');
  return wordings.map((of, i) => inPlainStyle(meanWording(rows.slice(i * of.length, (i + 1) * of.length)), own, usual));
}

export function embedSet(set: LabelledSet): EmbeddedSet {
  const labels = [...new Set(set.items.map((item) => item.label))].toSorted((a, b) => (a < b ? -1 : 1));
  const arrays =
    set.modality === 'text'
      ? textTensors(set.items.map((item) => item.text ?? ''))
      : pictureTensors(set.items.map((item) => item.picture ?? new Uint8Array()));
  const rows = embedArrays(set.name, set.modality, encodeSafetensors(arrays));
  const names = labels.map((label) => set.names[label] ?? label);
  return {
    name: set.name,
    modality: set.modality,
    labels,
    names,
    ids: set.items.map((item) => item.id),
    y: set.items.map((item) => labels.indexOf(item.label)),
    rows,
    nameRows: set.modality === 'text' ? embedNames(set.name, names) : null,
  };
}

/** scikit-learn's digits (8 × 8) as grey squares: pictures that look nothing like photographs. */
const DIGITS = `
import sys
import numpy as np
from safetensors.numpy import save_file
from sklearn.datasets import load_digits
d = load_digits()
big = np.repeat(np.repeat((d.images / 16 * 255).round().astype(np.uint8), 32, axis=1), 32, axis=2)
save_file({"pixels": np.ascontiguousarray(np.repeat(big[:900, :, :, None], 3, axis=3))}, sys.argv[1])
print(",".join(map(str, d.target[:900])))
`;

/** The digits as the engine's arrays, with their labels. */
export function digitArrays(): { readonly arrays: Uint8Array; readonly y: readonly number[] } {
  mkdirSync(join(CACHE, 'embeddings'), { recursive: true });
  const file = join(CACHE, 'embeddings', `digits-${process.pid}.arrays`);
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', DIGITS, file], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`making the digits: ${stderr}`);
  const arrays = new Uint8Array(readFileSync(file));
  rmSync(file);
  return { arrays, y: stdout.trim().split(',').map(Number) };
}

export function embedDigits({ arrays, y } = digitArrays(), name = 'digits'): EmbeddedSet {
  const rows = embedArrays(name, 'image', arrays);
  const names = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
  return { name, modality: 'image', labels: names, names, ids: y.map((_, i) => String(i)), y, rows, nameRows: null };
}
