/** A head as the three files that Teachable Machine writes: model.json, weights.bin, metadata.json. */
import type { Head } from '../../shared/head.ts';
import { layersModel, TFJS_VERSION } from '../../shared/layers-model.ts';
import { headMetadata, type Origin } from './origin.ts';
import type { ZipEntry } from './zip.ts';

/** Throws RangeError when the head has no component. */
export function encodeTfjs(head: Head, origin: Origin): ZipEntry[] {
  const model = layersModel(head);
  const picture = origin.manifest?.preprocessing.kind === 'image' ? origin.manifest.preprocessing : null;
  const metadata = {
    // The keys of Teachable Machine first.
    tfjsVersion: TFJS_VERSION,
    packageName: 'graft',
    timeStamp: origin.createdAt,
    userMetadata: headMetadata(head, origin),
    modelName: origin.name,
    labels: head.labels,
    ...(picture ? { imageSize: picture.input_px } : {}),
    preprocessing: { backbone: origin.manifest?.preprocessing ?? null, inputs: model.inputs },
    outputs: model.outputs,
  };
  const json = (value: object): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`);
  return [
    { name: 'model.json', content: json(model.json('weights.bin')) },
    { name: 'weights.bin', content: model.weights },
    { name: 'metadata.json', content: json(metadata) },
  ];
}
