/** Tenants' own networks in an isolate: tails over the shared trunk, whole networks one at a time. The shipped graphs stand in for tuned ones. */
import { env } from 'cloudflare:workers';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { makeDeps } from '../../functions/deps.ts';
import { models } from '../../functions/db/schema.ts';
import { graphSource } from '../../functions/inference/catalogue.ts';
import { RunQueue } from '../../functions/inference/run-queue.ts';
import { TunedNetworks } from '../../functions/inference/tuned-networks.ts';
import { SHIPPED_BACKBONES, type BackboneManifest } from '../../shared/catalogue.ts';
import type { ModelManifest } from '../../shared/model-manifest.ts';
import { EDGE_NETWORK_MAX_BYTES } from '../../shared/limits.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { bindings, newTenant } from '../setup/harness.ts';
import { makePng } from '../setup/png.ts';

const deps = makeDeps(env as never);
const { encoder } = deps;
const backbone = SHIPPED_BACKBONES.image;
const png = (k: number) => makePng(90, 70, (x, y) => [(x * k) % 256, (y * 5) % 256, (x * y) % 256]);

/** A model whose files are those of the backbone. `change` goes over its manifest. */
async function model(tenant: string, network: 'tail' | 'whole', change: (manifest: ModelManifest) => ModelManifest = (m) => m): Promise<string> {
  const base = (await deps.catalogue.get(backbone)) as BackboneManifest;
  const graphs = [['tail', base.tail] as const, ...(network === 'whole' ? [['trunk', base.trunk] as const] : [])];
  const files = graphs.flatMap(([name, graph]) => [
    { ...graph.model, name: `${name}.onnx` as const },
    ...(graph.data ? [{ ...graph.data, name: `${name}.onnx.data` as const }] : []),
  ]);
  const id = deps.newId('model');
  const manifest = change({
    format: 'graft-model-1',
    job: `job_of_${id}`,
    base_backbone: backbone,
    base_sha256: base.sha256,
    modality: 'image',
    dimension: base.dimension,
    labels: ['a', 'b'],
    seed: 1,
    dataset_digest: null,
    tuned: true,
    network,
    parity: null,
    lineage: {},
    files,
  });
  const keys = Object.fromEntries(files.map((file) => [file.name, objectKeys.blob(file.sha256)]));
  const row = { id, tenantId: tenant, jobId: manifest.job, classifierId: null, backbone, manifest, files: keys, createdAt: 1, deletedAt: null };
  await deps.db.insert(models).values(row);
  return id;
}
const encode = async (on: string, k: number) => await encoder.encode({ kind: 'image', bytes: png(k) }, { backbone, model: on });

describe.skipIf(!bindings.HAS_BACKBONES)('tuned networks', () => {
  it('run on their own trunk where they have one', async () => {
    const { tenant } = await newTenant();
    const [tail, whole] = [await model(tenant, 'tail'), await model(tenant, 'whole')];
    for (const id of [tail, whole]) {
      const { base, tuned } = await encode(id, 3);
      // The same graphs, so the same numbers: whichever trunk they went through.
      expect(tuned).toEqual(base);
    }
    // Proof that it is the own trunk that runs: damage it, and only the whole network fails.
    const damaged = await model(tenant, 'whole', (m) => ({
      ...m,
      files: m.files.map((f) => (f.name === 'trunk.onnx' ? { ...f, sha256: '0'.repeat(64) } : f)),
    }));
    await expect(encode(damaged, 3)).rejects.toMatchObject({ code: 'unavailable' });
    expect((await encode(tail, 4)).tuned).toHaveLength(1472);
  });

  it('take one big slot in turn, while the tails stay', async () => {
    const { tenant } = await newTenant();
    const tail = await model(tenant, 'tail');
    const wholes = [await model(tenant, 'whole'), await model(tenant, 'whole'), await model(tenant, 'whole')];
    await encode(tail, 1);
    await encode(wholes[0]!, 1);
    const memory: number[] = [];
    for (let round = 0; round < 2; round++)
      for (const id of wholes) {
        expect((await encode(id, round + 2)).tuned).toHaveLength(1472);
        const { tails, runtimeBytes } = encoder.memory();
        expect(tails).toContain(tail);
        expect(tails.filter((held) => wholes.includes(held))).toEqual([id]);
        memory.push(runtimeBytes);
      }
    // Swapping does not grow the runtime's memory.
    expect(memory.at(-1)! - memory[2]!).toBeLessThan(8 * 2 ** 20);
    console.log(JSON.stringify({ runtimeMiB: memory.map((bytes) => Math.round(bytes / 2 ** 20)) }));
    // All at once: each answers with its own, and at the end one is held.
    const all = await Promise.all([...wholes, tail, ...wholes].map(async (id, i) => await encode(id, i + 1)));
    all.forEach(({ base, tuned }) => expect(tuned).toEqual(base));
    expect(encoder.memory().tails.filter((held) => wholes.includes(held))).toHaveLength(1);
  });

  it('that no isolate can hold, or that lack their trunk, are refused', async () => {
    const { tenant } = await newTenant();
    const large = await model(tenant, 'whole', (m) => ({ ...m, files: m.files.map((f) => ({ ...f, bytes: EDGE_NETWORK_MAX_BYTES })) }));
    await expect(encode(large, 1)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('bytes') });
    const half = await model(tenant, 'whole', (m) => ({ ...m, files: m.files.filter((f) => !f.name.startsWith('trunk')) }));
    await expect(encode(half, 1)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('are as many tails as the budget has bytes for, the least recently used one going first', async () => {
    const { tail } = (await deps.catalogue.get(SHIPPED_BACKBONES.text)) as BackboneManifest;
    const bytes = tail.model.bytes + (tail.data?.bytes ?? 0);
    const networks = new TunedNetworks(
      async (key) => await deps.objects.get(key),
      async () => ({ trunk: null, tail: graphSource(tail) }),
      new RunQueue(),
      3 * bytes + 1,
    );
    const use = async (id: string) => await networks.with(id, async () => id);
    for (const id of ['a', 'b', 'c', 'a', 'd']) expect(await use(id)).toBe(id);
    expect(networks.models).toEqual(['c', 'a', 'd']);
    await use('b');
    expect(networks.models).toEqual(['a', 'd', 'b']);
    // A whole network counts like tails: it takes the place of the oldest ones, and later of the whole one before it.
    const room = new TunedNetworks(
      async (key) => await deps.objects.get(key),
      async (id) => ({ trunk: id.startsWith('whole') ? graphSource(tail) : null, tail: graphSource(tail) }),
      new RunQueue(),
      4 * bytes + 1,
    );
    for (const id of ['a', 'b', 'c', 'whole-1']) await room.with(id, async () => id);
    expect(room.models).toEqual(['b', 'c', 'whole-1']);
    await room.with('whole-2', async () => null);
    expect(room.models).toEqual(['b', 'c', 'whole-2']);
    for (const id of ['d', 'b', 'e']) await room.with(id, async () => id);
    expect(room.models).toEqual(['d', 'b', 'e']);
  });

  it('that are asked for at the same moment, and of which only one may stay, both answer', async () => {
    const { tail } = (await deps.catalogue.get(SHIPPED_BACKBONES.text)) as BackboneManifest;
    const networks = new TunedNetworks(
      async (key) => await deps.objects.get(key),
      async () => ({ trunk: graphSource(tail), tail: graphSource(tail) }),
      new RunQueue(),
    );
    const ids = ['whole-1', 'whole-2', 'whole-1', 'whole-3'];
    expect(await Promise.all(ids.map(async (id) => await networks.with(id, async () => id)))).toEqual(ids);
    expect(networks.models).toHaveLength(1);
    expect(await networks.with('whole-1', async () => 'again')).toBe('again');
  });

  it('wait while one after the other is let go, however long, and not for one that never is', async () => {
    const { tail } = (await deps.catalogue.get(SHIPPED_BACKBONES.text)) as BackboneManifest;
    let reads = 0;
    const networks = new TunedNetworks(
      async (key) => {
        reads += 1;
        return await deps.objects.get(key);
      },
      async () => ({ trunk: graphSource(tail), tail: graphSource(tail) }),
      new RunQueue(),
    );
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    /** Asks for a network and holds it until it is told to let go. */
    const hold = (id: string) => {
      const [opened, free] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const ended = networks.with(id, async () => {
        opened.resolve();
        await free.promise;
      });
      return { opened: opened.promise, letGo: free.resolve, ended };
    };
    const [first, second, third] = [hold('whole-1'), hold('whole-2'), hold('whole-3')];
    await first.opened;
    const each = reads;
    await vi.advanceTimersByTimeAsync(9_000);
    first.letGo();
    await second.opened;
    await vi.advanceTimersByTimeAsync(9_000);
    // The third is not even read.
    expect(reads).toBe(2 * each);
    second.letGo();
    await third.opened;
    // The third is never let go: the fourth waits for it, the fifth for the fourth alone.
    const fourth = hold('whole-4');
    await vi.advanceTimersByTimeAsync(9_000);
    expect(reads).toBe(3 * each);
    await vi.advanceTimersByTimeAsync(1_000);
    await fourth.opened;
    const fifth = hold('whole-5');
    fourth.letGo();
    await fifth.opened;
    for (const one of [third, fifth]) one.letGo();
    await Promise.all([first, second, third, fourth, fifth].map(async ({ ended }) => await ended));
  });
});
