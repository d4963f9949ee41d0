/** One tokeniser and one decoder for edge and trainer, held against the libraries that everybody else uses (`tokenizers`, Pillow). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { BACKBONES, PYTHON, ROOT } from '../../infra/paths.ts';
import { makeDecoder } from '../../shared/preprocess/decoder.ts';
import { makeTokenizer } from '../../shared/preprocess/wordpiece.ts';

const VOCABULARY = path.join(BACKBONES, 'all-minilm-l6-v2/vocab.txt');

function python(script: string, args: string[], input = ''): string {
  const run = spawnSync(PYTHON, ['-c', script, ...args], { input, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(run.stderr);
  return run.stdout;
}

/** A small generator, so that a failure can be repeated. */
function random(seed: number): (below: number) => number {
  let s = seed;
  return (below) => {
    s = (Math.imul(s, 1_664_525) + 1_013_904_223) >>> 0;
    return s % below;
  };
}

const REFERENCE = `
import json, sys
from tokenizers import BertWordPieceTokenizer
t = BertWordPieceTokenizer(sys.argv[1])
t.enable_truncation(128)
print(json.dumps([t.encode(s).ids for s in json.load(sys.stdin)]))
`;

test('tokenises as the reference library, token for token', () => {
  const next = random(11);
  const alphabets = [
    Array.from('abcdefghijklmnopqrstuvwxyz     .,!?-_\'"0123456789'),
    Array.from('ÀÉÎõüßçñŁøÅ İıſǅ ΑΒΓσς Жйё'),
    Array.from('漢字かなカナ한국어 ไทย हिन्दी עברית العربية'),
    Array.from('\u0000\u0007\t\n\r\u00A0\u00AD\u200B\u200D\u2028\u3000\uFEFF\uFFFD ab…—“”‘’€£©™½ﬁ'),
    ['[CLS]', '[SEP]', '[MASK]', '[UNK]', '[PAD]', ' ', 'a', '👩‍👧', '🇨🇭', '❤️', '𝒳', '𠀀'],
  ];
  const mails = readFileSync(path.join(ROOT, 'test/pack/mails.jsonl'), 'utf8').trim().split('\n');
  const texts = [
    '',
    ' ',
    'x'.repeat(101),
    'un'.repeat(5_000),
    ...mails.map((line) => (JSON.parse(line) as { text: string }).text),
    ...Array.from({ length: 2_000 }, () => {
      const some = Array.from({ length: 1 + next(3) }, () => alphabets[next(alphabets.length)]!).flat();
      return Array.from({ length: next(60) }, () => some[next(some.length)]!).join('');
    }),
  ];
  const expected = JSON.parse(python(REFERENCE, [VOCABULARY], JSON.stringify(texts))) as number[][];
  const tokenize = makeTokenizer(readFileSync(VOCABULARY, 'utf8'));
  const wrong = texts.flatMap((text, i) => {
    const ours = [...tokenize(text)];
    return JSON.stringify(ours) === JSON.stringify(expected[i]) ? [] : [{ text, ours, expected: expected[i] }];
  });
  expect(wrong).toEqual([]);
});

const PICTURES = `
import sys
import numpy as np
from PIL import Image, ImageOps
out = sys.argv[1]
y, x = np.mgrid[0:640, 0:900]
rgb = np.stack([127 + 100 * np.sin(x / 60), 127 + 100 * np.cos(y / 45), (x + y) % 900 / 4], axis=2)
base = Image.fromarray(rgb.clip(0, 255).astype(np.uint8))
def save(name, picture, wanted=None, **options):
    picture.save(f"{out}/{name}", **options)
    seen = ImageOps.exif_transpose(Image.open(f"{out}/{name}"))
    if seen.mode in ("RGBA", "LA", "PA") or "transparency" in seen.info:
        seen = seen.convert("RGBA")
        seen = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    square = ImageOps.fit(wanted or seen.convert("RGB"), (256, 256), Image.BOX)
    np.asarray(square).tofile(f"{out}/{name}.raw")
save("a.png", base)
save("b.jpg", base, quality=92)
save("c-progressive.jpg", base, quality=92, progressive=True)
save("d.webp", base, quality=92)
save("e-lossless.webp", base, lossless=True)
save("f-grey.png", base.convert("L"))
save("g-palette.png", base.quantize(128))
alpha = Image.fromarray(np.clip(x / 900 * 255, 0, 255).astype(np.uint8))
clear = base.copy(); clear.putalpha(alpha)
save("h-alpha.png", clear)
save("i-alpha.webp", clear, quality=92)
save("j-grey.jpg", base.convert("L"), quality=92)
for o in range(1, 9):
    exif = Image.Exif(); exif[0x0112] = o
    save(f"k-turned-{o}.jpg", base, quality=92, exif=exif)
save("l-16bit.png", Image.fromarray((rgb[:, :, 0] * 257).astype(np.uint16)), wanted=Image.fromarray(rgb[:, :, 0].astype(np.uint8)).convert("RGB"))
save("m-small.png", base.crop((0, 0, 40, 30)))
save("n-4-2-0.jpg", base, quality=80, subsampling=2)
print("\\n".join(sorted(p.name for p in __import__("pathlib").Path(out).iterdir() if p.suffix != ".raw")))
`;

test('decodes as Pillow, whatever the format, colours and orientation', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-parity-'));
  try {
    const names = python(PICTURES, [folder]).trim().split('\n');
    const wasm = readFileSync(path.join(ROOT, 'shared/preprocess/imgdec.wasm'));
    const decoder = makeDecoder(new WebAssembly.Module(new Uint8Array(wasm)));
    const table = names.map((name) => {
      const { pixels } = decoder.decodeSquare(new Uint8Array(readFileSync(path.join(folder, name))));
      const expected = new Uint8Array(readFileSync(path.join(folder, `${name}.raw`)));
      let sum = 0;
      for (const [i, value] of pixels.entries()) sum += Math.abs(value - expected[i]!);
      return { name, difference: sum / pixels.length };
    });
    expect(table.length).toBe(21);
    expect(table.filter((row) => !(row.difference < 2))).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
