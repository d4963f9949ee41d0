/** What a training job hands over, parsed and checked before anything in the object changes. */
import { decodeHead } from '../../shared/head-file.ts';
import { decodeSafetensors, takeTensor, type TensorFile } from '../../shared/safetensors.ts';
import type { Objects } from '../objects/objects.ts';

export type TrainingRows = {
  readonly base: Float32Array[];
  readonly tuned: Float32Array[] | null;
  /** Of each row, indices into the labels of its head. */
  readonly labelsOf: readonly (readonly number[])[];
  readonly rows: Int32Array;
  readonly enrolledTuned: Float32Array[] | null;
  readonly backgroundTuned: Float32Array | null;
};

async function fetchObject(objects: Objects, key: string): Promise<Uint8Array> {
  const bytes = await objects.get(key);
  if (!bytes) throw new Error(`${key} is not in object storage`);
  return bytes;
}

export async function fetchHead(objects: Objects, key: string) {
  const bytes = await fetchObject(objects, key);
  return { bytes, head: decodeHead(bytes) };
}

/** `present` [rows, labels] where a row may have several; −1 alone where nobody labelled it. */
function labelsIn(file: TensorFile): number[][] {
  const one = Array.from(takeTensor(file, 'labels', 'I32', 1).data, (label) => [label]);
  if (!file.tensors['present']) return one;
  const { shape, data } = takeTensor(file, 'present', 'U8', 2);
  const [rows, labels] = [shape[0] ?? 0, shape[1] ?? 0];
  if (rows !== one.length) throw new RangeError(`present has ${rows} rows, labels ${one.length}`);
  return one.map((own, i) => (own[0] === -1 ? own : Array.from({ length: labels }, (_, c) => c).filter((c) => data[i * labels + c] === 1)));
}

/** `embeddings.safetensors` of shared/engine.ts. Throws RangeError when its tensors do not fit each other. */
export async function fetchTrainingRows(objects: Objects, key: string, dimension: number): Promise<TrainingRows> {
  const file = decodeSafetensors(await fetchObject(objects, key));
  const matrix = (name: string): Float32Array[] | null => {
    if (!file.tensors[name]) return null;
    const { shape, data } = takeTensor(file, name, 'F32', 2);
    if (shape[1] !== dimension) throw new RangeError(`${name} has ${shape[1]} columns, expected ${dimension}`);
    return Array.from({ length: shape[0] ?? 0 }, (_, i) => data.slice(i * dimension, (i + 1) * dimension));
  };
  const base = matrix('base') ?? [];
  const tuned = matrix('tuned');
  const labelsOf = labelsIn(file);
  const rows = takeTensor(file, 'rows', 'I32', 1).data;
  if (labelsOf.length !== base.length || rows.length !== base.length || (tuned && tuned.length !== base.length))
    throw new RangeError('the tensors of embeddings.safetensors do not have the same number of rows');
  const background = file.tensors['background.tuned'] ? takeTensor(file, 'background.tuned', 'F32', 2).data : null;
  return { base, tuned, labelsOf, rows, enrolledTuned: matrix('enrolled.tuned'), backgroundTuned: background };
}
