/** The shares of an isolate's memory: together no more than there is, and the runtime keeps to its own whatever networks come and go. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { makeDeps } from '../../functions/deps.ts';
import { graphSource } from '../../functions/inference/catalogue.ts';
import { makeEncoder, type EncoderInput } from '../../functions/inference/encoder.ts';
import { DECODER_BYTES, HEADS_MAX_BYTES, ISOLATE_BYTES, OBJECTS_BYTES, RUNTIME_BYTES } from '../../functions/inference/isolate-budget.ts';
import { SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import { seededRandom } from '../../shared/statistics.ts';
import { bindings } from '../setup/harness.ts';
import { makePng } from '../setup/png.ts';

it('the shares of an isolate are no more than there is, and the heads get one that fifty classifiers fit in', () => {
  expect(RUNTIME_BYTES + DECODER_BYTES + OBJECTS_BYTES + HEADS_MAX_BYTES).toBeLessThanOrEqual(ISOLATE_BYTES);
  const shorts = (dimension: number): number => 100 * (2 * dimension + 4) + 4 * (dimension + 10 * 100) + (100 * 108 * 4) / 2;
  expect(HEADS_MAX_BYTES).toBeGreaterThan(25 * (shorts(1_472) + shorts(768)));
});

describe.skipIf(!bindings.HAS_BACKBONES)('the runtime', () => {
  const { catalogue, objects } = makeDeps(env as never);
  const findNetwork = async (model: string) => {
    const [kind, network] = model.split('-');
    const manifest = (await catalogue.get(SHIPPED_BACKBONES[kind === 'text' ? 'text' : 'image']))!;
    return { trunk: network === 'whole' ? graphSource(manifest.trunk) : null, tail: graphSource(manifest.tail) };
  };
  const encoder = makeEncoder({ catalogue, read: async (key) => await objects.get(key), findNetwork });
  const picture: EncoderInput = { kind: 'image', bytes: makePng(90, 70, (x, y) => [(x * 3) % 256, (y * 5) % 256, (x * y) % 256]) };

  it('keeps to its share over tails and whole networks of many tenants, of both modalities, in any order', async () => {
    const random = seededRandom(5);
    const below = (n: number): number => Math.floor(random() * n);
    for (let i = 0; i < 36; i++) {
      const kind = below(2) === 0 ? 'image' : 'text';
      const input: EncoderInput = kind === 'image' ? picture : { kind: 'text', text: 'a long text about nothing. '.repeat(1 + below(30)) };
      const model = `${kind}-${below(5) === 0 ? 'whole' : 'tail'}-${below(12)}`;
      const { base, tuned } = await encoder.encode(input, { backbone: SHIPPED_BACKBONES[kind], model });
      // The same graphs, so the same numbers: a network that is closed and opened again is still whole.
      expect(tuned).toEqual(base);
    }
    const { runtimeBytes } = encoder.memory();
    console.log(JSON.stringify({ runtimeMB: runtimeBytes / 1e6 }));
    expect(runtimeBytes).toBeGreaterThan(RUNTIME_BYTES / 2);
    expect(runtimeBytes).toBeLessThanOrEqual(RUNTIME_BYTES);
  });

  it('keeps to its share when many are asked for at the same moment', async () => {
    const models = Array.from({ length: 16 }, (_, i) => `image-${i % 2 === 0 ? 'whole' : 'tail'}-at-once-${i}`);
    const all = await Promise.all(models.map(async (model) => await encoder.encode(picture, { backbone: SHIPPED_BACKBONES.image, model })));
    for (const { base, tuned } of all) expect(tuned).toEqual(base);
    const { runtimeBytes } = encoder.memory();
    console.log(JSON.stringify({ atOnceMB: runtimeBytes / 1e6 }));
    expect(runtimeBytes).toBeLessThanOrEqual(RUNTIME_BYTES);
  });
});
