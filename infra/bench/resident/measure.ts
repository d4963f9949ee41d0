/** Tenants after tenants in one isolate: how many networks it goes on holding, what they take of the runtime's memory, and what a swap costs. */
import { join } from 'node:path';
import { Miniflare } from 'miniflare';
import { z } from 'zod';
import { SHIPPED_BACKBONES } from '../../../shared/catalogue.ts';
import { LONG_TEXT, manifestOf, packPictures } from '../inputs.ts';
import { spread, timed, type Spread } from '../measure.ts';

export type Kind = { readonly modality: 'image' | 'text'; readonly network: 'tail' | 'whole' };
export type Resident = Kind & {
  /** Of one tenant's own graphs. */
  readonly file_bytes: number;
  readonly tenants: number;
  /** Tenants whose networks are still open after all have been served. */
  readonly held: number;
  /**
   * The runtime's wasm memory, which never shrinks: with the shared backbones, with one network more, at the end, and after a whole network of the same
   * modality came on top.
   */
  readonly memory: { readonly shared: number; readonly one: number; readonly end: number; readonly whole_too: number };
  /** Milliseconds over HTTP: a request that finds its network open, one that has to open it, and the difference of the medians. */
  readonly warm: Spread;
  readonly first: Spread;
  readonly swap_ms: number;
};

const Told = z.object({ runtime_bytes: z.number(), held: z.array(z.string()) });

export type Places = { readonly script: string; readonly wasm: readonly string[]; readonly worker: string; readonly files: string };

/** A fresh isolate for each kind. Every tenant is served once in turn, `rounds` times; then one that is held is asked again and again. */
export async function measureKind(kind: Kind, places: Places, of: { tenants: number; rounds: number; repeats: number }): Promise<Resident> {
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    modules: [{ type: 'ESModule', path: places.script }, ...places.wasm.map((path) => ({ type: 'CompiledWasm' as const, path }))],
    modulesRoot: places.worker,
    compatibilityDate: '2026-07-01',
    compatibilityFlags: ['nodejs_compat'],
    serviceBindings: { FILES: { disk: { path: places.files, writable: false } } },
  });
  try {
    const url = (await miniflare.ready).origin;
    const picture = Uint8Array.from(packPictures('bird')[0]!);
    const ask = async (modality: Kind['modality'], model: string): Promise<number> =>
      await timed(async () => {
        const response = await fetch(`${url}/${modality}/${model}`, { method: 'POST', body: modality === 'image' ? picture : LONG_TEXT });
        const text = await response.text();
        if (!response.ok) throw new Error(`the isolate answered ${response.status}: ${text.slice(0, 300)}`);
      });
    const told = async () => Told.parse(await (await fetch(`${url}/memory`)).json());
    for (const modality of ['image', 'text'] as const) for (let i = 0; i < 5; i++) await ask(modality, 'none');
    const shared = (await told()).runtime_bytes;
    const name = (i: number): string => `${kind.modality}-${kind.network}-${i}`;
    await ask(kind.modality, name(0));
    const one = (await told()).runtime_bytes;
    const first: number[] = [];
    for (let round = 0; round < of.rounds; round++)
      for (let i = 0; i < of.tenants; i++) {
        const open = (await told()).held.includes(name(i));
        const spent = await ask(kind.modality, name(i));
        if (!open) first.push(spent);
      }
    const { held, runtime_bytes: end } = await told();
    const last = held.at(-1);
    if (last === undefined) throw new Error('no network is held');
    const warm: number[] = [];
    for (let i = 0; i < of.repeats; i++) warm.push(await ask(kind.modality, last));
    await ask(kind.modality, `${kind.modality}-whole-on-top`);
    const wholeToo = (await told()).runtime_bytes;
    const [opening, ready] = [spread(first), spread(warm)];
    return {
      ...kind,
      file_bytes: bytesOf(kind),
      tenants: of.tenants,
      held: held.length,
      memory: { shared, one, end, whole_too: wholeToo },
      warm: ready,
      first: opening,
      swap_ms: opening.p50 - ready.p50,
    };
  } finally {
    await miniflare.dispose();
  }
}

function bytesOf({ modality, network }: Kind): number {
  const { trunk, tail } = manifestOf(SHIPPED_BACKBONES[modality]);
  return (network === 'whole' ? [tail, trunk] : [tail]).reduce((sum, graph) => sum + graph.model.bytes + (graph.data?.bytes ?? 0), 0);
}

/** Where the Worker and its files lie. */
export function placesIn(folder: string, bundle: { script: string; wasm: readonly string[] }): Places {
  return { ...bundle, worker: join(folder, 'worker'), files: join(folder, 'files') };
}
