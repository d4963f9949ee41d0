/** The catalogue as callers see it. `serving.bytes` is what an isolate reads to serve it. */
import type { BackboneManifest } from '../../../shared/catalogue.ts';
import { ModelManifest } from '../../../shared/model-manifest.ts';
import type { Backbone } from '../../../shared/wire/backbones.ts';
import { fitsEdge } from '../../domain/model-network.ts';
import type { Deps } from '../../deps.ts';
import { listModels } from '../../stores/models.ts';

const MODELS_LISTED = 100;

/** The catalogue, and after it the tenant's own models that a classifier can stand on, newest first. */
export async function listBackbones(deps: Pick<Deps, 'catalogue' | 'db'>, tenant: string): Promise<Backbone[]> {
  const catalogue = await deps.catalogue.list();
  const models = await listModels(deps.db, tenant, { limit: MODELS_LISTED, after: null });
  const own = models.flatMap((row) => {
    const base = catalogue.find((manifest) => manifest.id === row.backbone);
    return base ? toOwn(row.id, ModelManifest.parse(row.manifest), base) : [];
  });
  return [...catalogue.map(toBackbone), ...own];
}

/** Nothing for a model that has no network of its own: it is its backbone. */
function toOwn(id: string, model: ModelManifest, base: BackboneManifest): Backbone[] {
  const tail = model.files.find((file) => file.name === 'tail.onnx.data') ?? model.files.find((file) => file.name === 'tail.onnx');
  if (!model.tuned || !tail) return [];
  const shared = toBackbone(base);
  const own = model.files.filter((file) => /^(trunk|tail)\.onnx(\.data)?$/.test(file.name));
  return [
    {
      ...shared,
      id,
      version: model.job,
      source: `fine-tuned from ${base.id} by ${model.job}`,
      sha256: tail.sha256,
      accuracy: 'measured by its job',
      serving: { bytes: own.reduce((sum, file) => sum + file.bytes, 0), edge: shared.serving.edge && fitsEdge(model) },
    },
  ];
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
