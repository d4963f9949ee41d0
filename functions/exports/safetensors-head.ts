/** A head as the safetensors file that Graft itself serves from, with metadata that a reader understands without Graft. */
import type { Head } from '../../shared/head.ts';
import { encodeHead } from '../../shared/head-file.ts';
import { decodeSafetensors, encodeSafetensors } from '../../shared/safetensors.ts';
import { headMetadata, type Origin } from './origin.ts';

/** `decodeHead` reads it back; the keys beside `graft` are the ones of `headMetadata`. */
export function encodeSafetensorsHead(head: Head, origin: Origin): Uint8Array {
  const file = decodeSafetensors(encodeHead(head));
  return encodeSafetensors(file.tensors, { ...headMetadata(head, origin), ...file.metadata });
}
