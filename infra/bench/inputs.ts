/** What is sent: pictures of the pack, one picture like a phone's, texts of two lengths; and the same inputs as the network's ready tensors. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { BackboneManifest, SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import { TEXT_MAX_TOKENS } from '../../shared/limits.ts';
import { makeDecoder } from '../../shared/preprocess/decoder.ts';
import { toNetworkInput } from '../../shared/preprocess/pixels.ts';
import { makeTokenizer } from '../../shared/preprocess/wordpiece.ts';
import { BACKBONES, PYTHON, ROOT } from '../paths.ts';

export type ReadyTensor = { readonly dims: readonly number[]; readonly bytes: Uint8Array };

const CLASSES = join(ROOT, 'test/pack/classes');
export const LABELS = ['bird', 'building', 'clothing', 'mammal', 'vehicle'] as const;

/** All pictures of a class of the pack, 64 × 64 PNG. */
export function packPictures(label: string): Buffer[] {
  const folder = join(CLASSES, label);
  return readdirSync(folder)
    .toSorted()
    .map((file) => readFileSync(join(folder, file)));
}

export const SHORT_TEXT = 'How do I activate my new card?';
/** More words than the network reads, so exactly TEXT_MAX_TOKENS tokens. */
export const LONG_TEXT = 'The parcel that I ordered last week came today, but the box was open and one of the two lamps is broken. '.repeat(8);

/** Soft shapes with sensor-like noise on them, 4000 × 3000, quality 90: a few MB, as a phone writes them. Fixed seed. */
const PHONE_PICTURE = `
import io, sys
import numpy as np
from PIL import Image
r = np.random.default_rng(7)
soft = Image.fromarray(r.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize((4000, 3000), Image.BICUBIC)
noisy = np.asarray(soft, dtype=np.int16) + r.integers(-12, 13, (3000, 4000, 3), dtype=np.int16)
out = io.BytesIO()
Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(out, 'JPEG', quality=90)
sys.stdout.buffer.write(out.getvalue())
`;

/** A 12-megapixel JPEG; null when the Python environment cannot make one. */
export function phonePicture(): Buffer | null {
  if (!existsSync(PYTHON)) return null;
  const made = spawnSync(PYTHON, ['-c', PHONE_PICTURE], { maxBuffer: 32 * 2 ** 20 });
  return made.status === 0 && made.stdout.length > 0 ? made.stdout : null;
}

export function manifestOf(id: string): BackboneManifest {
  return BackboneManifest.parse(JSON.parse(readFileSync(join(BACKBONES, id, 'manifest.json'), 'utf8')));
}

/** What the edge would hand to the network for this picture. */
export function pictureTensor(picture: Uint8Array): ReadyTensor {
  const { preprocessing } = manifestOf(SHIPPED_BACKBONES.image);
  if (preprocessing.kind !== 'image') throw new Error('the picture backbone reads no pictures');
  const decoder = makeDecoder(new WebAssembly.Module(new Uint8Array(readFileSync(join(ROOT, 'shared/preprocess/imgdec.wasm')))));
  const values = toNetworkInput(decoder.decodeSquare(new Uint8Array(picture)).pixels, preprocessing);
  return { dims: [1, 3, preprocessing.input_px, preprocessing.input_px], bytes: new Uint8Array(values.buffer) };
}

export function textTensor(text: string): ReadyTensor {
  const manifest = manifestOf(SHIPPED_BACKBONES.text);
  const tokenize = makeTokenizer(readFileSync(join(BACKBONES, manifest.id, manifest.vocabulary?.name ?? ''), 'utf8'));
  const ids = BigInt64Array.from(tokenize(text, TEXT_MAX_TOKENS), BigInt);
  return { dims: [1, ids.length], bytes: new Uint8Array(ids.buffer) };
}
