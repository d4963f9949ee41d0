/** Pictures that are hard on memory: at the limits of their formats, cut off, or lying about themselves. Fixed seeds. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { PYTHON } from '../paths.ts';

export type Hostile = { readonly name: string; readonly bytes: Buffer };

/** One line of JSON for each picture: its name and its bytes in base64. */
const MAKE = `
import base64, io, json
import numpy as np
from PIL import Image
Image.MAX_IMAGE_PIXELS = None
r = np.random.default_rng(11)
def soft(w, h, mode='RGB'):
    n = len(mode)
    return Image.fromarray(r.integers(0, 256, (12, 16, n), dtype=np.uint8).squeeze(), mode).resize((w, h), Image.BICUBIC)
def tell(name, image, fmt, cut=None, **how):
    out = io.BytesIO()
    image.save(out, fmt, **how)
    print(json.dumps({'name': name, 'base64': base64.b64encode(out.getvalue()[:cut]).decode()}), flush=True)
tell('JPEG, 24 MP', soft(6000, 4000), 'JPEG', quality=85)
tell('JPEG, 99 MP of one colour', Image.new('RGB', (11000, 9000), (90, 90, 200)), 'JPEG', quality=30)
tell('progressive JPEG, 4.9 MP', soft(2560, 1920), 'JPEG', quality=85, progressive=True)
tell('progressive JPEG, 12 MP', soft(4000, 3000), 'JPEG', quality=80, progressive=True)
tell('JPEG, cut off', soft(4000, 3000), 'JPEG', cut=60000, quality=85)
tell('PNG, 49 MP of one colour', Image.new('RGB', (7000, 7000), (10, 200, 90)), 'PNG')
tell('PNG, 64 MP of one colour', Image.new('L', (8000, 8000), 7), 'PNG')
tell('PNG with alpha, interlace-free, 4 MP', soft(2000, 2000, 'RGBA'), 'PNG')
tell('WebP, lossless, 3.9 MP', soft(2240, 1740), 'WEBP', lossless=True, method=0)
tell('WebP with alpha, 2.9 MP', soft(1900, 1520, 'RGBA'), 'WEBP', quality=70, method=0)
tell('WebP, 12 MP', soft(4000, 3000), 'WEBP', quality=70, method=0)
`;

/** A PNG header that promises 65,535 × 65,535 pixels, and a JPEG header followed by noise. */
function liars(): Hostile[] {
  const png = Buffer.from('89504e470d0a1a0a0000000d494844520000ffff0000ffff0802000000', 'hex');
  let a = 7;
  const noise = Buffer.from(Array.from({ length: 200_000 }, () => (a = (Math.imul(a, 1_103_515_245) + 12_345) >>> 0) >>> 24));
  const jpeg = Buffer.from('ffd8ffc0001108ffffffff03012200021101031101', 'hex');
  return [
    { name: 'PNG that says 65,535 × 65,535', bytes: Buffer.concat([png, Buffer.alloc(64)]) },
    { name: 'JPEG header and noise', bytes: Buffer.concat([jpeg, noise]) },
    { name: 'noise', bytes: noise },
  ];
}

/** Null when the Python environment cannot make them. */
export function hostilePictures(): Hostile[] | null {
  if (!existsSync(PYTHON)) return null;
  const made = spawnSync(PYTHON, ['-c', MAKE], { maxBuffer: 256 * 2 ** 20 });
  if (made.status !== 0) return null;
  const lines = made.stdout.toString().trim().split('\n');
  const parsed = lines.map((line) => JSON.parse(line) as { name: string; base64: string });
  return [...parsed.map(({ name, base64 }) => ({ name, bytes: Buffer.from(base64, 'base64') })), ...liars()];
}
