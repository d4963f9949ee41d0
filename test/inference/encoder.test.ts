/** The real networks inside workerd: what goes in, what comes out, and that nothing breaks under load or after a bad picture. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { makeDeps } from '../../functions/deps.ts';
import { SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import { GraftError } from '../../shared/errors.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { makeDecoder } from '../../shared/preprocess/decoder.ts';
import imgdecWasm from '../../shared/preprocess/imgdec.wasm';
import { makeTokenizer } from '../../shared/preprocess/wordpiece.ts';
import { bindings } from '../setup/harness.ts';
import { makePng } from '../setup/png.ts';

const { encoder, catalogue, objects } = makeDeps(env as never);
const image = { backbone: SHIPPED_BACKBONES.image, model: null };
const text = { backbone: SHIPPED_BACKBONES.text, model: null };
const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, v, i) => sum + v * (b[i] ?? 0), 0) / (norm(a) * norm(b));

describe.skipIf(!bindings.HAS_BACKBONES)('encoder', () => {
  it('embeds a picture: 1,280 non-negative numbers, the same each time', async () => {
    const png = makePng(300, 200, (x, y) => [x % 256, y % 256, (x * y) % 256]);
    const first = await encoder.encode({ kind: 'image', bytes: png }, image);
    const again = await encoder.encode({ kind: 'image', bytes: png }, image);
    expect(first.base).toHaveLength(1472);
    expect(Math.min(...first.base)).toBeGreaterThanOrEqual(0);
    expect(again.base).toEqual(first.base);
    expect(first.tuned).toBeNull();
  });

  it('embeds texts so that meaning is near', async () => {
    const vectors = await Promise.all(
      ['How do I activate my new card?', 'My card has come, how can I switch it on?', 'The weather in Lisbon is lovely in May.'].map(
        async (t) => (await encoder.encode({ kind: 'text', text: t }, text)).base,
      ),
    );
    const [a, b, c] = vectors as [Float32Array, Float32Array, Float32Array];
    expect(a).toHaveLength(768);
    expect(cosine(a, b)).toBeGreaterThan(0.6);
    expect(cosine(a, c)).toBeLessThan(0.3);
  });

  it('reads frozen rows as it reads what they were made from', async () => {
    const png = makePng(300, 200, (x, y) => [x % 256, y % 256, (x * y) % 256]);
    const { pixels } = makeDecoder(imgdecWasm).decodeSquare(png);
    const picture = await encoder.encode({ kind: 'image', bytes: png }, image);
    expect((await encoder.encode({ kind: 'square', pixels }, image)).base).toEqual(picture.base);
    const manifest = await catalogue.get(SHIPPED_BACKBONES.text);
    const vocabulary = await objects.get(objectKeys.blob(manifest!.vocabulary!.sha256));
    const said = 'How do I activate my new card?';
    const ids = makeTokenizer(new TextDecoder().decode(vocabulary!))(said, 128);
    const frozen = await encoder.encode({ kind: 'tokens', ids }, text);
    expect(frozen.base).toEqual((await encoder.encode({ kind: 'text', text: said }, text)).base);
    const wrong = await encoder.encode({ kind: 'tokens', ids }, image).catch((error: unknown) => error);
    expect(wrong).toMatchObject({ code: 'unprocessable' });
  });

  it('answers each of many at once with its own embedding', async () => {
    const pictures = Array.from({ length: 6 }, (_, k) => makePng(64, 64, (x, y) => [(x * (k + 1)) % 256, (y * 3 + k * 40) % 256, k * 40]));
    const alone: Float32Array[] = [];
    for (const bytes of pictures) alone.push((await encoder.encode({ kind: 'image', bytes }, image)).base);
    const together = await Promise.all(pictures.map(async (bytes) => (await encoder.encode({ kind: 'image', bytes }, image)).base));
    expect(together).toEqual(alone);
    expect(new Set(alone.map((v) => v.join())).size).toBe(6);
  });

  it('goes on after pictures that cannot be read', async () => {
    const good = makePng(80, 80, () => [200, 30, 90]);
    const before = (await encoder.encode({ kind: 'image', bytes: good }, image)).base;
    const bad = [
      new Uint8Array(0),
      new TextEncoder().encode('not a picture'),
      good.slice(0, good.length - 20),
      makePng(8_000, 8_000, () => [0, 0, 0], true),
    ];
    const codes = await Promise.all(
      bad.map(async (bytes) => {
        const failure = await encoder.encode({ kind: 'image', bytes }, image).catch((error: unknown) => error);
        return failure instanceof GraftError ? failure.code : failure;
      }),
    );
    expect(codes).toEqual(['empty_body', 'unsupported_media_type', 'picture_truncated', 'picture_too_large']);
    expect((await encoder.encode({ kind: 'image', bytes: good }, image)).base).toEqual(before);
  });

  it('knows only its own backbones', async () => {
    await expect(encoder.encode({ kind: 'text', text: 'x' }, { backbone: '../secret', model: null })).rejects.toMatchObject({
      code: 'unknown_backbone',
    });
    await expect(encoder.encode({ kind: 'text', text: 'x' }, image)).rejects.toMatchObject({ code: 'unprocessable' });
    expect((await catalogue.list()).map((b) => b.id).toSorted()).toEqual(['all-minilm-l6-v2', 'efficientnet-lite0']);
  });

  it('stays within the memory of an isolate', () => {
    const { runtimeBytes, decoderBytes } = encoder.memory();
    console.log(JSON.stringify({ runtimeMiB: runtimeBytes / 2 ** 20, decoderMiB: decoderBytes / 2 ** 20 }));
    expect(runtimeBytes).toBeGreaterThan(0);
    expect(runtimeBytes + decoderBytes).toBeLessThan(100 * 2 ** 20);
  });
});
