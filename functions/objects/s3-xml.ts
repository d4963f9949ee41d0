/**
 * Reads the few small XML answers of the S3 API that Graft needs. It is no general XML parser and promises nothing for other documents:
 * no entities but the five of XML and character references, no DTD (a document with one is refused), no attributes.
 */

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decodeEntities(text: string): string {
  return text.replace(/&(#x[0-9a-fA-F]{1,6}|#[0-9]{1,7}|[a-z]{2,4});/g, (whole, name: string) => {
    if (!name.startsWith('#')) return ENTITIES[name] ?? whole;
    const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number.parseInt(name.slice(1), 10);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** Texts between `<tag>` and `</tag>` in order; `raw` keeps nested elements as they are. Throws when the document has a DTD. */
function elements(xml: string, tag: string): string[] {
  if (/<!DOCTYPE|<!ENTITY/i.test(xml)) throw new SyntaxError('an S3 answer has no DTD');
  const found: string[] = [];
  const open = new RegExp(`<(?:[A-Za-z0-9]+:)?${tag}(?:\\s[^<>]*)?>`, 'g');
  for (let match = open.exec(xml); match; match = open.exec(xml)) {
    const start = match.index + match[0].length;
    const end = xml.slice(start).search(new RegExp(`</(?:[A-Za-z0-9]+:)?${tag}\\s*>`));
    if (end < 0) break;
    found.push(xml.slice(start, start + end));
    open.lastIndex = start + end;
  }
  return found;
}

/** The text of the first `<tag>`, or null. */
export function textOf(xml: string, tag: string): string | null {
  const first = elements(xml, tag)[0];
  return first === undefined ? null : decodeEntities(first.trim());
}

export type ListedPart = { readonly number: number; readonly etag: string; readonly bytes: number };

/** ListPartsResult: one page of parts and, when there are more, the marker that asks for the next page. */
export function parseListParts(xml: string): { parts: ListedPart[]; nextMarker: number | null } {
  const parts = elements(xml, 'Part').map((part) => ({
    number: Number(textOf(part, 'PartNumber')),
    etag: unquoteEtag(textOf(part, 'ETag') ?? ''),
    bytes: Number(textOf(part, 'Size')),
  }));
  const more = textOf(xml, 'IsTruncated') === 'true';
  const marker = Number(textOf(xml, 'NextPartNumberMarker') ?? parts.at(-1)?.number ?? 0);
  return { parts, nextMarker: more && marker > 0 ? marker : null };
}

/** `<Error><Code>…` of an answer, or null when it is not an error document. */
export function parseError(xml: string): { code: string; message: string } | null {
  if (elements(xml, 'Error').length === 0) return null;
  return { code: textOf(xml, 'Code') ?? 'Unknown', message: textOf(xml, 'Message') ?? '' };
}

export type ListedObject = { readonly key: string; readonly bytes: number };

/** ListBucketResult: one page of objects and, when there are more, the token that asks for the next page. */
export function parseListObjects(xml: string): { objects: ListedObject[]; next: string | null } {
  const objects = elements(xml, 'Contents').map((one) => ({ key: textOf(one, 'Key') ?? '', bytes: Number(textOf(one, 'Size')) }));
  return { objects, next: textOf(xml, 'IsTruncated') === 'true' ? textOf(xml, 'NextContinuationToken') : null };
}

/** The body of DeleteObjects. Quiet: the answer names only what could not be deleted. */
export function deleteObjectsXml(keys: readonly string[]): string {
  const objects = keys.map((key) => `<Object><Key>${escapeXml(key)}</Key></Object>`).join('');
  return `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${objects}</Delete>`;
}

/** Codes of the keys that DeleteObjects could not delete. */
export function parseDeleteErrors(xml: string): string[] {
  return elements(xml, 'Error').map((one) => textOf(one, 'Code') ?? 'Unknown');
}

const escapeXml = (text: string) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** The body of CompleteMultipartUpload. `checksum`: base64 of a part's SHA-256, where the upload was created with it. */
export function completeMultipartXml(parts: readonly { number: number; etag: string; checksum: string | null }[]): string {
  const sha256 = (checksum: string | null) => (checksum === null ? '' : `<ChecksumSHA256>${checksum}</ChecksumSHA256>`);
  const body = parts
    .map((p) => `<Part><PartNumber>${p.number}</PartNumber><ETag>&quot;${escapeXml(p.etag)}&quot;</ETag>${sha256(p.checksum)}</Part>`)
    .join('');
  return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${body}</CompleteMultipartUpload>`;
}

/** ETags travel with and without quotes; one form inside. */
export function unquoteEtag(etag: string): string {
  return etag.replace(/^W\//, '').replace(/^"(.*)"$/, '$1');
}
