/** Signatures of Standard Webhooks 1.0 (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md). */

const PREFIX = 'whsec_';
const SECRET_BYTES = 24;

/** A new secret: `whsec_` and 24 random bytes in base64. */
export function newSecret(): string {
  return PREFIX + toBase64(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
}

/** `webhook-signature` for one or more secrets (two while a rotation overlaps): `v1,<base64 HMAC-SHA256 of id.timestamp.body>`, space-separated. */
export async function signatureHeader(secrets: readonly string[], message: { id: string; timestamp: number; body: string }): Promise<string> {
  const signed = new TextEncoder().encode(`${message.id}.${message.timestamp}.${message.body}`);
  const signatures = await Promise.all(
    secrets.map(async (secret) => {
      const raw = Uint8Array.from(atob(secret.slice(PREFIX.length)), (c) => c.charCodeAt(0));
      const key = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
      return `v1,${toBase64(new Uint8Array(await crypto.subtle.sign('HMAC', key, signed)))}`;
    }),
  );
  return signatures.join(' ');
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
