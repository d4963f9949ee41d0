/** How large the Worker is as it is deployed: the script and its wasm modules. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { WorkerBundle } from '../worker-bundle.ts';

export type FileSize = { readonly file: string; readonly bytes: number; readonly gzip_bytes: number };
export type BundleSize = { readonly files: readonly FileSize[]; readonly bytes: number; readonly gzip_bytes: number };

export function measureSize(bundle: WorkerBundle): BundleSize {
  const files = [bundle.script, ...bundle.wasm].map((path): FileSize => {
    const content = readFileSync(path);
    // The digest in front of the name of a wasm file says nothing here.
    const file = basename(path).replace(/^[0-9a-f]{12}-/, '');
    return { file, bytes: content.length, gzip_bytes: gzipSync(content, { level: 9 }).length };
  });
  return { files, bytes: files.reduce((sum, f) => sum + f.bytes, 0), gzip_bytes: files.reduce((sum, f) => sum + f.gzip_bytes, 0) };
}
