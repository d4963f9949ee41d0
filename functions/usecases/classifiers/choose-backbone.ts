/** What a new classifier stands on: a backbone of the catalogue, a trained model of its tenant, or nothing for vectors. */
import { SHIPPED_BACKBONES } from '../../../shared/catalogue.ts';
import { ModelManifest } from '../../../shared/model-manifest.ts';
import { GraftError } from '../../../shared/errors.ts';
import { idPattern } from '../../../shared/ids.ts';
import type { CreateClassifier } from '../../../shared/wire/classifiers.ts';
import type { StartingModel } from '../../domain/classifier-object.ts';
import { fitsEdge } from '../../domain/model-network.ts';
import type { Deps } from '../../deps.ts';
import { getModel } from '../../stores/models.ts';

export type On = {
  /** Always one of the catalogue: a model runs on its base backbone. */
  readonly backbone: string | null;
  readonly dimension: number;
  readonly transform: 'l2' | 'sqrt_l2';
  readonly start: StartingModel | null;
};

/** Throws `invalid_request`, `unknown_backbone` (a stranger's model included), `unprocessable`, `dimension_mismatch`, `unavailable`. */
export async function chooseBackbone(deps: Pick<Deps, 'catalogue' | 'db'>, tenant: string, input: CreateClassifier): Promise<On> {
  if (input.modality === 'vector') {
    if (input.backbone !== undefined)
      throw new GraftError('invalid_request', 'A classifier of vectors has no backbone; leave "backbone" out.', { param: 'backbone' });
    if (input.dimension === undefined)
      throw new GraftError('invalid_request', 'A classifier of vectors needs "dimension": how long they are.', { param: 'dimension' });
    return { backbone: null, dimension: input.dimension, transform: 'l2', start: null };
  }
  const asked = input.backbone ?? SHIPPED_BACKBONES[input.modality];
  const own = idPattern('model').test(asked) ? await ownModel(deps, tenant, asked) : null;
  const id = own?.backbone ?? asked;
  const manifest = idPattern('model').test(id) ? null : await deps.catalogue.get(id);
  if (!manifest && (input.backbone === undefined || own))
    throw new GraftError('unavailable', `The backbone "${id}" is not published in the object storage yet; run the set-up.`);
  if (!manifest || manifest.modality !== input.modality) {
    const what = manifest
      ? `The backbone "${asked}" reads ${manifest.modality}, not ${input.modality}.`
      : `There is no backbone "${asked.slice(0, 100)}".`;
    throw new GraftError('unknown_backbone', `${what} See GET /v1/backbones.`, { param: 'backbone' });
  }
  if (input.dimension !== undefined && input.dimension !== manifest.dimension)
    throw new GraftError('dimension_mismatch', `The backbone "${asked}" gives ${manifest.dimension} values, not ${input.dimension}.`, {
      param: 'dimension',
    });
  return { backbone: id, dimension: manifest.dimension, transform: manifest.transform, start: own?.start ?? null };
}

async function ownModel(deps: Pick<Deps, 'db'>, tenant: string, id: string): Promise<{ backbone: string; start: StartingModel } | null> {
  const row = await getModel(deps.db, tenant, id);
  if (!row) return null;
  const refuse = (detail: string) => new GraftError('unprocessable', detail, { param: 'backbone' });
  const manifest = ModelManifest.parse(row.manifest);
  if (!manifest.tuned) throw refuse(`The model "${id}" has no network of its own; use its backbone, "${row.backbone}".`);
  if (!fitsEdge(manifest)) throw refuse(`The network of the model "${id}" is larger than what can be served at the edge.`);
  const headKey = row.files['head.safetensors'];
  const embeddingsKey = row.files['embeddings.safetensors'];
  if (headKey === undefined || embeddingsKey === undefined) throw refuse(`The model "${id}" lacks files that a classifier needs of it.`);
  return { backbone: row.backbone, start: { model: id, headKey, embeddingsKey } };
}
