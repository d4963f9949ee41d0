/** From a request's fields to something to embed, with the bounds checked and every fault at its pointer. */
import { GraftError } from '../../shared/errors.ts';
import { IMAGE_MAX_BYTES, TEXT_MAX_BYTES } from '../../shared/limits.ts';
import type { InputFields } from '../../shared/wire/inputs.ts';
import { decodeBase64, decodedBytesMax } from './base64.ts';

export type Input =
  | { readonly kind: 'image'; readonly bytes: Uint8Array }
  | { readonly kind: 'text'; readonly text: string; readonly bytes: Uint8Array }
  | { readonly kind: 'vector'; readonly vector: Float32Array };

const ALLOWANCE_CHARS = 64;

/** What the classifier reads: its modality and, for vectors, how long they are. */
export type Reads = { readonly modality: 'image' | 'text' | 'vector'; readonly dimension: number };

/** Throws GraftError with `param` naming the field. */
export function readInput(fields: InputFields, reads: Reads): Input {
  const given = fields.image !== undefined ? 'image' : fields.text !== undefined ? 'text' : 'vector';
  if (given !== reads.modality)
    throw new GraftError('unprocessable', `The classifier reads ${reads.modality}; the input has "${given}".`, { param: given });
  if (fields.image !== undefined) return { kind: 'image', bytes: readImage(fields.image) };
  if (fields.text !== undefined) return readText(new TextEncoder().encode(fields.text));
  return { kind: 'vector', vector: readVector(fields.vector ?? [], reads.dimension) };
}

function readImage(base64: string): Uint8Array {
  if (decodedBytesMax(base64.length) > IMAGE_MAX_BYTES + ALLOWANCE_CHARS) throw pictureTooLong();
  const bytes = decodeBase64(base64);
  if (!bytes) throw new GraftError('invalid_request', '"image" is not base64.', { param: 'image' });
  return readPicture(bytes);
}

/** Raw bytes of a picture; whether they are one is the decoder's business. */
export function readPicture(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength === 0) throw new GraftError('empty_body', 'The picture is empty.', { param: 'image' });
  if (bytes.byteLength > IMAGE_MAX_BYTES) throw pictureTooLong();
  return bytes;
}

function pictureTooLong(): GraftError {
  return new GraftError('body_too_large', `The picture is over the limit of ${IMAGE_MAX_BYTES} bytes.`, { param: 'image' });
}

/** UTF-8 bytes of a text. */
export function readText(bytes: Uint8Array): Extract<Input, { kind: 'text' }> {
  if (bytes.byteLength > TEXT_MAX_BYTES)
    throw new GraftError('body_too_large', `The text is over the limit of ${TEXT_MAX_BYTES} bytes.`, { param: 'text' });
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new GraftError('text_invalid', 'The text is not valid UTF-8.', { param: 'text', cause: error });
  }
  if (text.trim() === '') throw new GraftError('empty_body', 'The text is empty.', { param: 'text' });
  return { kind: 'text', text, bytes };
}

function readVector(vector: readonly number[], dimension: number): Float32Array {
  if (vector.length !== dimension)
    throw new GraftError('dimension_mismatch', `The vector has ${vector.length} values; the classifier takes ${dimension}.`, { param: 'vector' });
  const out = Float32Array.from(vector);
  if (!out.every(Number.isFinite)) throw new GraftError('unprocessable', 'The vector has values that float32 cannot hold.', { param: 'vector' });
  return out;
}
