/** The committed decoder: its digest, and that damaged pictures are named for what they are while the next one still works. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { GraftError } from '../../shared/errors.ts';
import { makeDecoder } from '../../shared/preprocess/decoder.ts';
import { orientSquare } from '../../shared/preprocess/orientation.ts';

const root = path.join(import.meta.dirname, '../..');
const wasm = readFileSync(path.join(root, 'shared/preprocess/imgdec.wasm'));
const decoder = makeDecoder(new WebAssembly.Module(new Uint8Array(wasm)));
const birds = path.join(root, 'test/pack/classes/bird');
const bird = new Uint8Array(readFileSync(path.join(birds, readdirSync(birds).toSorted()[0]!)));
const codeOf = (bytes: Uint8Array): string => {
  try {
    decoder.decodeSquare(bytes);
    return 'none';
  } catch (error) {
    return error instanceof GraftError ? error.code : String(error);
  }
};

test('is the build that the sources give', () => {
  expect(createHash('sha256').update(wasm).digest('hex')).toBe('9262f87b719305e1291f16465e24b1913b27558a46b3ee99684d887d2f697c8c');
});

test('names what is wrong, and decodes the next picture', () => {
  expect(codeOf(new Uint8Array())).toBe('empty_body');
  expect(codeOf(new TextEncoder().encode('GIF89a, no picture for us'))).toBe('unsupported_media_type');
  for (const part of [40, 400, bird.length - 20]) expect(codeOf(bird.slice(0, part))).toBe('picture_truncated');
  const huge = bird.slice();
  new DataView(huge.buffer).setUint32(16, 60_000);
  new DataView(huge.buffer).setUint32(20, 60_000);
  expect(codeOf(huge)).toBe('picture_too_large');
  const square = decoder.decodeSquare(bird);
  expect([square.width, square.height, square.pixels.length]).toEqual([64, 64, 256 * 256 * 3]);
  // Transparent corners lie on white.
  expect([...square.pixels.subarray(0, 3)]).toEqual([255, 255, 255]);
});

test('memory stays bounded over many pictures', () => {
  for (let i = 0; i < 200; i++) decoder.decodeSquare(bird);
  expect(decoder.memoryBytes()).toBeLessThan(8 * 1024 * 1024);
});

test('every orientation is undone by its inverse', () => {
  const side = 5;
  const pixels = Uint8Array.from({ length: side * side * 3 }, (_, i) => i);
  const inverse = [1, 2, 3, 4, 5, 8, 7, 6];
  for (let o = 1; o <= 8; o++) {
    const turned = orientSquare(pixels, side, o);
    expect([...orientSquare(turned, side, inverse[o - 1]!)]).toEqual([...pixels]);
    if (o > 1) expect([...turned]).not.toEqual([...pixels]);
  }
});

test('says of a WebP with several pictures that it is animated, not that it is damaged', () => {
  const webp = new Uint8Array(64);
  webp.set(new TextEncoder().encode('RIFF'), 0);
  new DataView(webp.buffer).setUint32(4, 56, true);
  webp.set(new TextEncoder().encode('WEBPVP8X'), 8);
  new DataView(webp.buffer).setUint32(16, 10, true);
  webp[20] = 0x02;
  webp.set(new TextEncoder().encode('ANIM'), 30);
  expect(() => decoder.decodeSquare(webp)).toThrow('The WebP is animated');
  expect(codeOf(webp)).toBe('picture_invalid');
});
