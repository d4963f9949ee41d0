/** What the host adds to a trained job's files: the head as a TensorFlow.js model, and the manifest completed and written last. */
import { createHash } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { BackboneManifest } from '../../shared/catalogue.ts';
import { decodeHead } from '../../shared/head-file.ts';
import { layersModel, TFJS_VERSION } from '../../shared/layers-model.ts';
import { ModelManifest, type ArtifactName } from '../../shared/model-manifest.ts';

export type Artifact = { readonly name: ArtifactName; readonly file: string; readonly sha256: string; readonly bytes: number };
/** What only the host knows of the job. */
export type Known = {
  readonly datasetDigest: string;
  readonly sourceClassifier: string | null;
  readonly backbone: Pick<BackboneManifest, 'id' | 'sha256' | 'preprocessing'>;
};

const WEIGHTS = 'head.tfjs.bin';

/** The engine's files, those added, and the manifest that names them all, in the order in which they are uploaded. */
export async function finishArtifacts(made: readonly Artifact[], out: string, known: Known): Promise<Artifact[]> {
  const of = (name: ArtifactName): Artifact => {
    const found = made.find((artifact) => artifact.name === name);
    if (!found) throw new Error(`the engine named no ${name}`);
    return found;
  };
  const head = decodeHead(new Uint8Array(await readFile(of('head.safetensors').file)));
  const manifest = ModelManifest.parse(JSON.parse(await readFile(of('manifest.json').file, 'utf8')));
  const model = layersModel(head);
  const userDefinedMetadata = {
    tfjsVersion: TFJS_VERSION,
    packageName: 'graft',
    modelName: manifest.job,
    labels: head.labels,
    temperature: head.temperature,
    preprocessing: { backbone: known.backbone.preprocessing, inputs: model.inputs },
    outputs: model.outputs,
    backbone: { id: known.backbone.id, sha256: known.backbone.sha256 },
  };
  const added = [
    await write(out, 'head.tfjs.json', new TextEncoder().encode(`${JSON.stringify(model.json(WEIGHTS, { userDefinedMetadata }), null, 1)}\n`)),
    await write(out, WEIGHTS, model.weights),
  ];
  const files = [...manifest.files, ...added.map(({ name, sha256, bytes }) => ({ name, sha256, bytes }))];
  const lineage = { ...manifest.lineage, ...(known.sourceClassifier === null ? {} : { source_classifier: known.sourceClassifier }) };
  const completed: ModelManifest = { ...manifest, dataset_digest: known.datasetDigest, lineage, files };
  const last = await write(out, 'manifest.json', new TextEncoder().encode(`${JSON.stringify(completed, null, 2)}\n`));
  return [...made.filter(({ name }) => name !== 'manifest.json'), ...added, last];
}

/** By rename, so that a file under its name is complete. */
async function write(out: string, name: ArtifactName, content: Uint8Array): Promise<Artifact> {
  const file = path.join(out, name);
  await writeFile(`${file}.part`, content);
  await rename(`${file}.part`, file);
  return { name, file, sha256: createHash('sha256').update(content).digest('hex'), bytes: content.byteLength };
}
