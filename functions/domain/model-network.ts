import type { EngineResult, ModelManifest } from '../../shared/engine.ts';

/** What a model needs beside the shared backbone: nothing, a tail over its trunk, or a whole network of its own. */
export function networkOf(manifest: Pick<ModelManifest, 'tuned' | 'network'>): EngineResult['network'] {
  return manifest.tuned ? (manifest.network === 'base' ? 'tail' : manifest.network) : 'base';
}
