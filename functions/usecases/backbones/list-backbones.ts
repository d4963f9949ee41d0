/** The catalogue as callers see it. `serving.bytes` is what an isolate reads to serve it. */
import type { BackboneManifest } from '../../../shared/catalogue.ts';
import type { Backbone } from '../../../shared/wire/backbones.ts';
import type { Deps } from '../../deps.ts';

export async function listBackbones(deps: Pick<Deps, 'catalogue'>): Promise<Backbone[]> {
  return (await deps.catalogue.list()).map(toBackbone);
}

export function toBackbone(m: BackboneManifest): Backbone {
  const files = [m.trunk.model, m.trunk.data, m.tail.model, m.tail.data, m.vocabulary];
  const { edge = true, ...measured } = m.measured ?? {};
  return {
    object: 'backbone',
    id: m.id,
    modality: m.modality,
    dimension: m.dimension,
    version: m.version,
    license: m.license,
    source: m.source,
    sha256: m.sha256,
    preprocessing: m.preprocessing,
    accuracy: m.accuracy,
    serving: { bytes: files.reduce((sum, file) => sum + (file?.bytes ?? 0), 0), edge, ...measured },
  };
}
