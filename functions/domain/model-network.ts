import type { EngineResult } from '../../shared/engine.ts';
import type { ModelManifest } from '../../shared/model-manifest.ts';
import { EDGE_NETWORK_MAX_BYTES } from '../../shared/limits.ts';

/** What a model needs beside the shared backbone: nothing, a tail over its trunk, or a whole network of its own. */
export function networkOf(manifest: Pick<ModelManifest, 'tuned' | 'network'>): EngineResult['network'] {
  return manifest.tuned ? (manifest.network === 'base' ? 'tail' : manifest.network) : 'base';
}

const GRAPHS: ReadonlySet<string> = new Set(['trunk.onnx', 'trunk.onnx.data', 'tail.onnx', 'tail.onnx.data']);

/** Whether an isolate can hold it beside the shared backbones. Tails always; a whole network up to a bound. */
export function fitsEdge(manifest: Pick<ModelManifest, 'tuned' | 'network' | 'files'>): boolean {
  if (networkOf(manifest) !== 'whole') return true;
  return manifest.files.reduce((sum, file) => sum + (GRAPHS.has(file.name) ? file.bytes : 0), 0) <= EDGE_NETWORK_MAX_BYTES;
}
