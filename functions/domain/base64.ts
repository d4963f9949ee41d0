/** Base64 (RFC 4648 §4, also the URL alphabet) with or without padding and a `data:` prefix. */

/** Null when the text is not base64. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | null {
  const start = text.startsWith('data:') ? text.indexOf(',') + 1 : 0;
  try {
    const binary = atob(text.slice(start).replaceAll('-', '+').replaceAll('_', '/'));
    const out = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i);
    return out;
  } catch {
    return null;
  }
}

/** Bytes that a base64 text of this length decodes to, at most: to refuse a large one before it is decoded. */
export function decodedBytesMax(characters: number): number {
  return Math.floor((characters / 4) * 3);
}

export function encodeBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let i = 0; i < bytes.length; i += 0x8000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(binary);
}
