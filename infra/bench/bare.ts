/** Bundles and starts the bare Worker under the same runtime as the real one. */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { BACKBONES } from '../paths.ts';
import type { ReadyTensor } from './inputs.ts';

export type Bare = {
  /** Keeps a tensor under a name. */
  hold(name: string, tensor: ReadyTensor): Promise<void>;
  /** One run of a backbone on a held tensor. */
  run(backbone: string, name: string): Promise<void>;
  /** A request that does nothing: what HTTP alone costs. */
  empty(): Promise<void>;
  stop(): Promise<void>;
};

/** One ES module and the `.wasm` files beside it, which esbuild's `copy` loader leaves as imports. @param entry from this folder */
export async function bundleBenchWorker(entry: string, folder: string): Promise<{ script: string; wasm: string[] }> {
  mkdirSync(folder, { recursive: true });
  await build({
    entryPoints: { worker: join(import.meta.dirname, entry) },
    outdir: folder,
    bundle: true,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser', 'import'],
    external: ['cloudflare:*', 'node:*'],
    loader: { '.wasm': 'copy' },
    minify: true,
    logLevel: 'error',
  });
  const wasm = readdirSync(folder).filter((file) => file.endsWith('.wasm'));
  return { script: join(folder, 'worker.js'), wasm: wasm.map((file) => join(folder, file)) };
}

export async function startBare(folder: string): Promise<Bare> {
  const { script, wasm } = await bundleBenchWorker('bare-worker.ts', folder);
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    modules: [{ type: 'ESModule', path: script }, ...wasm.map((path) => ({ type: 'CompiledWasm' as const, path }))],
    modulesRoot: folder,
    compatibilityDate: '2026-07-01',
    compatibilityFlags: ['nodejs_compat'],
    serviceBindings: { FILES: { disk: { path: BACKBONES, writable: false } } },
  });
  const url = (await miniflare.ready).origin;
  const ask = async (path: string, init: RequestInit = {}): Promise<void> => {
    const response = await fetch(url + path, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`the bare Worker answered ${response.status} to ${path}: ${text.slice(0, 300)}`);
  };
  return {
    hold: (name, { dims, bytes }) => ask(`/tensor/${name}?dims=${dims.join(',')}`, { method: 'PUT', body: Uint8Array.from(bytes) }),
    run: (backbone, name) => ask(`/run/${backbone}/${name}`, { method: 'POST' }),
    empty: () => ask('/'),
    stop: () => miniflare.dispose(),
  };
}
