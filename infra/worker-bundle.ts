/** Bundles the Worker for workerd: one ES module, with each `.wasm` as a module of its own. */
import { mkdirSync, copyFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { ROOT } from './paths.ts';

export type WorkerBundle = { readonly script: string; readonly wasm: readonly string[]; readonly bytes: number };

export async function bundleWorker(folder: string): Promise<WorkerBundle> {
  mkdirSync(folder, { recursive: true });
  const wasm = new Map<string, string>();
  const script = join(folder, 'worker.js');
  const result = await build({
    entryPoints: [join(ROOT, 'functions/worker.ts')],
    outfile: script,
    bundle: true,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser', 'import'],
    external: ['cloudflare:*', 'node:*'],
    minify: true,
    metafile: true,
    logLevel: 'error',
    plugins: [
      {
        name: 'wasm-modules',
        setup(b) {
          b.onResolve({ filter: /\.wasm$/ }, async (args) => {
            if (args.pluginData === 'inner') return undefined;
            const found = await b.resolve(args.path, { kind: 'import-statement', resolveDir: args.resolveDir, pluginData: 'inner' });
            if (found.errors.length > 0) return { errors: found.errors };
            const digest = createHash('sha256').update(readFileSync(found.path)).digest('hex').slice(0, 12);
            const name = `${digest}-${basename(found.path)}`;
            wasm.set(name, found.path);
            copyFileSync(found.path, join(folder, name));
            return { path: `./${name}`, external: true };
          });
        },
      },
    ],
  });
  return { script, wasm: [...wasm.keys()].map((n) => join(folder, n)), bytes: Object.values(result.metafile.outputs)[0]?.bytes ?? 0 };
}
