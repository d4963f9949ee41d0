/** Takes a network from outside into the catalogue: checked as a file, run in the isolate, then stored, and named last. */
import { SHIPPED_BACKBONES, isShipped, type BackboneManifest, type BlobFile } from '../../../shared/catalogue.ts';
import { GraftError } from '../../../shared/errors.ts';
import { BACKBONE_ONNX_MAX_BYTES, IMAGE_SQUARE_SIDE_PX, VECTOR_MAX_DIMENSION } from '../../../shared/limits.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import { encodeSafetensors, tensor } from '../../../shared/safetensors.ts';
import type { Backbone, NewBackbone } from '../../../shared/wire/backbones.ts';
import type { Deps } from '../../deps.ts';
import { sha256Hex } from '../../domain/digests.ts';
import { checkNetwork, type CheckedNetwork } from '../../exports/onnx-check.ts';
import { flattenGraph } from '../../exports/onnx-flatten.ts';
import type { Trial } from '../../inference/trial.ts';
import { findAdded, setAdded } from './added-index.ts';
import { toBackbone } from './list-backbones.ts';

type Needs = Pick<Deps, 'objects' | 'catalogue' | 'encoder'>;

/** @param onnx the file; at most BACKBONE_ONNX_MAX_BYTES */
export async function addBackbone(deps: Needs, said: NewBackbone, onnx: Uint8Array): Promise<Backbone> {
  await refuseTaken(deps, said.id);
  if (onnx.byteLength > BACKBONE_ONNX_MAX_BYTES)
    throw new GraftError('body_too_large', `The ONNX file is over the limit of ${BACKBONE_ONNX_MAX_BYTES} bytes.`, { param: 'onnx' });
  const digest = await sha256Hex(onnx);
  if (digest !== said.sha256)
    throw new GraftError('checksum_mismatch', `The ONNX file has the SHA-256 ${digest}, not ${said.sha256}.`, { param: 'sha256' });
  const network = checkNetwork(onnx);
  const tail = flattenGraph(network.opset);
  const trial = await deps.encoder.tryOut({ preprocessing: said.preprocessing, model: network.model, tail });
  checkDimension(said, trial.dimension);

  const fingerprint = await sha256Hex(JSON.stringify([said.sha256, said.preprocessing, said.transform]));
  const manifest = await storeFiles(deps, { said, network, tail, trial });
  await setAdded(deps, { id: said.id, fingerprint, removed: false }, (there) => {
    if (there && there.fingerprint !== fingerprint)
      throw new GraftError('conflict', `The id "${said.id}" has named another network, and examples may rest on it. Choose another id.`, {
        param: 'id',
      });
  });
  await deps.objects.put(objectKeys.backboneManifest(said.id), new TextEncoder().encode(JSON.stringify(manifest)));
  deps.catalogue.forget(said.id);
  return toBackbone(manifest);
}

/** An entry of the index without a manifest is an addition that was cut off: it may be repeated. */
async function refuseTaken(deps: Needs, id: string): Promise<void> {
  if (isShipped(id)) throw new GraftError('conflict', `"${id}" is shipped with Graft. Choose another id.`, { param: 'id' });
  if (await deps.objects.head(objectKeys.backboneManifest(id))) {
    const entry = await findAdded(deps, id);
    const how = entry ? 'Remove it first, or choose another id.' : 'It was not added by an operator. Choose another id.';
    throw new GraftError('conflict', `There is a backbone "${id}" already. ${how}`, { param: 'id' });
  }
}

function checkDimension(said: NewBackbone, gives: number): void {
  if (said.dimension !== undefined && said.dimension !== gives)
    throw new GraftError('dimension_mismatch', `The network gives ${gives} values, the manifest says ${said.dimension}.`, { param: 'dimension' });
  if (gives > VECTOR_MAX_DIMENSION)
    throw new GraftError('unprocessable', `The network gives ${gives} values; a backbone may give ${VECTOR_MAX_DIMENSION}.`, { param: 'onnx' });
}

type Parts = { readonly said: NewBackbone; readonly network: CheckedNetwork; readonly tail: Uint8Array; readonly trial: Trial };

async function storeFiles(deps: Needs, { said, network, tail, trial }: Parts): Promise<BackboneManifest> {
  const { dimension, measured } = trial;
  const put = async (name: string, bytes: Uint8Array): Promise<BlobFile> => {
    const sha256 = await sha256Hex(bytes);
    await deps.objects.put(objectKeys.blob(sha256), bytes);
    return { name, sha256, bytes: bytes.byteLength };
  };
  const text = said.preprocessing.kind === 'text' ? await deps.catalogue.get(SHIPPED_BACKBONES.text) : null;
  if (said.preprocessing.kind === 'text' && !text?.vocabulary)
    throw new GraftError('unavailable', 'The vocabulary is that of the shipped text backbone, which is not published yet; run the set-up.');
  // No background: what impostors and whitening know of the world has to come from the examples.
  const none = new Float32Array(0);
  const inputs =
    said.modality === 'image'
      ? { features: tensor('F32', [0, dimension], none) }
      : { input_ids: tensor('I32', [0, 1], new Int32Array(0)), lengths: tensor('I32', [0], new Int32Array(0)) };
  const preprocessing = said.preprocessing.kind === 'image' ? { ...said.preprocessing, square_px: IMAGE_SQUARE_SIDE_PX } : said.preprocessing;
  return {
    format: 'graft-backbone-1',
    id: said.id,
    modality: said.modality,
    version: said.version,
    license: said.license,
    source: said.source,
    sha256: said.sha256,
    accuracy: said.accuracy,
    transform: said.transform,
    dimension,
    preprocessing,
    trunk: { model: await put('trunk.onnx', network.model), data: null, inputs: [network.input], outputs: [network.output] },
    tail: { model: await put('tail.onnx', tail), data: null, inputs: ['features'], outputs: ['embedding'] },
    weights: null,
    vocabulary: text?.vocabulary ?? null,
    background: await put('background.safetensors', encodeSafetensors({ embeddings: tensor('F32', [0, dimension], none) })),
    background_inputs: await put('background-inputs.safetensors', encodeSafetensors(inputs)),
    parity: { samples: 0, max_abs_difference: 0, min_cosine: 1 },
    measured,
  };
}
