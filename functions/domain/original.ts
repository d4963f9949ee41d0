/** The bytes of an input as they came: what is hashed, and for pictures and texts kept. */
import { sniffPicture } from '../../shared/preprocess/sniff.ts';
import type { Input } from './read-input.ts';

/** `contentType` null: there is nothing to keep beside the embedding. */
export function originalOf(input: Input): { readonly bytes: Uint8Array; readonly contentType: string | null } {
  if (input.kind === 'vector') return { bytes: new Uint8Array(input.vector.buffer), contentType: null };
  const contentType = input.kind === 'image' ? (sniffPicture(input.bytes)?.contentType ?? null) : 'text/plain; charset=utf-8';
  return { bytes: input.bytes, contentType };
}
