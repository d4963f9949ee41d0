/**
 * Reader and writer of safetensors (https://github.com/huggingface/safetensors#format): 8-byte little-endian header length,
 * a JSON header, then raw tensors. No pickle, nothing executable; every offset is checked before it is used.
 */
import { z } from 'zod';

const DTYPES = { F32: Float32Array, I32: Int32Array, U8: Uint8Array, F64: Float64Array } as const;
export type Dtype = keyof typeof DTYPES;
export type TensorData = Float32Array | Int32Array | Uint8Array | Float64Array;
export type Tensor = { readonly dtype: Dtype; readonly shape: readonly number[]; readonly data: TensorData };
export type TensorFile = { readonly tensors: Readonly<Record<string, Tensor>>; readonly metadata: Readonly<Record<string, string>> };

export const HEADER_MAX_BYTES = 64 * 1024 * 1024;
const Entry = z.object({
  dtype: z.enum(['F32', 'I32', 'U8', 'F64']),
  shape: z.array(z.number().int().nonnegative()),
  data_offsets: z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]),
});
const Header = z.record(z.string(), z.union([Entry, z.record(z.string(), z.string())]));

const elements = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1);

/** One tensor; throws when shape and data disagree. */
export function tensor(dtype: Dtype, shape: readonly number[], data: TensorData): Tensor {
  if (!(data instanceof DTYPES[dtype])) throw new TypeError(`the data of a ${dtype} tensor must be a ${DTYPES[dtype].name}`);
  if (data.length !== elements(shape)) throw new RangeError(`${data.length} values do not fill the shape [${shape.join(', ')}]`);
  return { dtype, shape, data };
}

/** The header alone (length prefix included), for writers that stream the tensors after it in the order of `entries`. */
export function encodeHeader(
  entries: readonly { name: string; dtype: Dtype; shape: readonly number[] }[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const { name, dtype, shape } of entries) {
    const bytes = elements(shape) * DTYPES[dtype].BYTES_PER_ELEMENT;
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  let text = JSON.stringify(header);
  // Spaces up to a multiple of eight keep every F64/F32 tensor aligned, as the reference writer does.
  const length = new TextEncoder().encode(text).length;
  text += ' '.repeat((8 - (length % 8)) % 8);
  const body = new TextEncoder().encode(text);
  const out = new Uint8Array(8 + body.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(body.length), true);
  out.set(body, 8);
  return out;
}

/** A whole file in memory. Tensors of eight-byte types come first so that all stay aligned. */
export function encodeSafetensors(tensors: Readonly<Record<string, Tensor>>, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const order = Object.entries(tensors).toSorted(
    (a, b) => DTYPES[b[1].dtype].BYTES_PER_ELEMENT - DTYPES[a[1].dtype].BYTES_PER_ELEMENT || (a[0] < b[0] ? -1 : 1),
  );
  const header = encodeHeader(
    order.map(([name, t]) => ({ name, dtype: t.dtype, shape: t.shape })),
    metadata,
  );
  const total = order.reduce((sum, [, t]) => sum + t.data.byteLength, header.length);
  const out = new Uint8Array(total);
  out.set(header, 0);
  let at = header.length;
  for (const [, t] of order) {
    out.set(new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength), at);
    at += t.data.byteLength;
  }
  return out;
}

export type TensorEntry = {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly start: number;
  readonly bytes: number;
};
export type TensorHeader = { readonly entries: readonly TensorEntry[]; readonly metadata: Readonly<Record<string, string>> };

/**
 * Where the tensors lie in a file of which the beginning is given; `start` counts from the beginning of the file.
 * @throws RangeError when the header is longer than what is given, or offsets do not fit the shape
 */
export function decodeHeader(bytes: Uint8Array): TensorHeader {
  if (bytes.length < 8) throw new RangeError('a safetensors file has at least 8 bytes');
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true));
  if (length > HEADER_MAX_BYTES || 8 + length > bytes.length) throw new RangeError(`the safetensors header of ${length} bytes does not fit the file`);
  const header = Header.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + length))));
  const entries: TensorEntry[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') {
      metadata = value as Record<string, string>;
      continue;
    }
    const { dtype, shape, data_offsets } = Entry.parse(value);
    const [start, end] = data_offsets;
    if (end < start || end - start !== elements(shape) * DTYPES[dtype].BYTES_PER_ELEMENT)
      throw new RangeError(`the offsets of tensor "${name}" do not fit its shape or the file`);
    entries.push({ name, dtype, shape, start: 8 + length + start, bytes: end - start });
  }
  return { entries, metadata };
}

/** Parses a file. Tensors are copies, so the input may be freed. Throws `RangeError`/`ZodError` naming the tensor that is wrong. */
export function decodeSafetensors(bytes: Uint8Array): TensorFile {
  const { entries, metadata } = decodeHeader(bytes);
  const tensors: Record<string, Tensor> = {};
  for (const { name, dtype, shape, start, bytes: size } of entries) {
    if (start + size > bytes.length) throw new RangeError(`the offsets of tensor "${name}" do not fit its shape or the file`);
    // Not bytes.slice: a Node Buffer's slice is a view on its pool.
    const copy = new Uint8Array(bytes.subarray(start, start + size));
    tensors[name] = { dtype, shape, data: new DTYPES[dtype](copy.buffer) };
  }
  return { tensors, metadata };
}

/** The named tensor with the asked dtype and number of axes, or an error that names it. */
export function takeTensor<D extends Dtype>(
  file: TensorFile,
  name: string,
  dtype: D,
  axes: number,
): { shape: readonly number[]; data: InstanceType<(typeof DTYPES)[D]> } {
  const found = file.tensors[name];
  if (!found) throw new RangeError(`tensor "${name}" is missing`);
  if (found.dtype !== dtype || found.shape.length !== axes)
    throw new RangeError(`tensor "${name}" is ${found.dtype}[${found.shape.join(', ')}], expected ${dtype} with ${axes} axes`);
  return { shape: found.shape, data: found.data as InstanceType<(typeof DTYPES)[D]> };
}
