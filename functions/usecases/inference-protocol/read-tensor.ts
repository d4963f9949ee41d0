/** The one input tensor of a request as inputs to embed, with every fault at its place. */
import { GraftError } from '../../../shared/errors.ts';
import { BATCH_MAX_INPUTS } from '../../../shared/limits.ts';
import type { InputTensor } from '../../../shared/wire/inference-protocol.ts';
import { readInput, type Input, type Reads } from '../../domain/read-input.ts';

export const INPUT_NAMES = { image: 'image', text: 'text', vector: 'embedding' } as const;

/** `at` is the pointer of a row in the request. */
export type TensorRows = { readonly rows: readonly (() => Input)[]; readonly at: (row: number) => string };

export function readTensor(tensor: InputTensor, reads: Reads): TensorRows {
  const name = INPUT_NAMES[reads.modality];
  const datatype = name === 'embedding' ? 'FP32' : 'BYTES';
  if (tensor.name !== name) throw fault('name', `The model's input is "${name}", not "${tensor.name.slice(0, 100)}".`);
  if (tensor.datatype !== datatype) throw fault('datatype', `The input "${name}" is ${datatype}, not ${tensor.datatype.slice(0, 100)}.`);
  // Tensors have two sides at most: what is nested deeper is no value, and flattening it all would follow a stranger to any depth.
  const values: unknown[] = tensor.data.flat();
  const count = tensor.shape.reduce((product, side) => product * side, 1);
  if (values.length !== count) throw fault('data', `The shape [${tensor.shape.join(', ')}] has ${count} values; the data has ${values.length}.`);
  const width = widthOf(tensor.shape, reads);
  const rows = count / width;
  if (rows < 1 || rows > BATCH_MAX_INPUTS) throw fault('shape', `A request has 1 to ${BATCH_MAX_INPUTS} rows; this one has ${rows}.`);
  const wanted = datatype === 'FP32' ? 'number' : 'string';
  const wrong = values.findIndex((value) => typeof value !== wanted);
  if (wrong >= 0) throw fault('data', `Value ${wrong} is not a ${wanted}.`);
  return {
    rows: Array.from({ length: rows }, (_, i) => () => {
      if (wanted === 'number') return readRow({ vector: values.slice(i * width, (i + 1) * width) as number[] }, reads);
      return readRow({ [name]: values[i] as string }, reads);
    }),
    at: (row) => `/inputs/0/data/${row}`,
  };
}

/** Values of a row. One embedding may come as [d] in place of [1, d]. */
function widthOf(shape: readonly number[], { modality, dimension }: Reads): number {
  const width = modality === 'vector' ? shape[shape.length - 1]! : (shape[1] ?? 1);
  const expected = modality === 'vector' ? dimension : 1;
  if (width === expected) return width;
  if (modality === 'vector') throw fault('shape', `The embeddings have ${width} values; the model takes ${expected}.`, 'dimension_mismatch');
  throw fault('shape', `The input "${modality}" has the shape [n] or [n, 1].`);
}

/** The pointer of a row says where; the field of our own JSON would mislead. */
function readRow(fields: { image?: string; text?: string; vector?: number[] }, reads: Reads): Input {
  try {
    return readInput(fields, reads);
  } catch (error) {
    throw error instanceof GraftError ? new GraftError(error.code, error.message, { cause: error }) : error;
  }
}

function fault(field: string, detail: string, code: 'invalid_request' | 'dimension_mismatch' = 'invalid_request'): GraftError {
  return new GraftError(code, detail, { param: `inputs.0.${field}`, errors: [{ pointer: `/inputs/0/${field}`, code, detail }] });
}
