/**
 * Secrets at rest: AES-256-GCM under a key derived (HKDF-SHA-256, RFC 5869) from the operator's GRAFT_SECRET_KEY. `context` is bound to the sealed
 * text, so it cannot be moved to another row. Layout: base64(12-byte nonce ‖ ciphertext and tag).
 */
import { encodeBase64 } from './base64.ts';

const NONCE_BYTES = 12;

async function keyFor(secretKey: string): Promise<CryptoKey> {
  const material = await crypto.subtle.importKey('raw', fromBase64(secretKey), 'HKDF', false, ['deriveKey']);
  const salt = new TextEncoder().encode('graft.seal.1');
  return await crypto.subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt, info: new Uint8Array(0) },
    material,
    { name: 'AES-GCM', length: 256 },
    false,
    ['encrypt', 'decrypt'],
  );
}

export async function seal(secretKey: string, plain: string, context: string): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const additionalData = new TextEncoder().encode(context);
  const box = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData }, await keyFor(secretKey), new TextEncoder().encode(plain));
  const out = new Uint8Array(NONCE_BYTES + box.byteLength);
  out.set(iv, 0);
  out.set(new Uint8Array(box), NONCE_BYTES);
  return encodeBase64(out);
}

/** Throws `OperationError` when the text was sealed under another key or for another context, or was altered. */
export async function unseal(secretKey: string, sealed: string, context: string): Promise<string> {
  const bytes = fromBase64(sealed);
  const iv = bytes.subarray(0, NONCE_BYTES);
  const additionalData = new TextEncoder().encode(context);
  const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv, additionalData }, await keyFor(secretKey), bytes.subarray(NONCE_BYTES));
  return new TextDecoder().decode(plain);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
