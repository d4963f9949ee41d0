/** Objects in S3-compatible storage: whole small objects, presigned transfers and multipart uploads. Keys come from shared/object-keys.ts. */
import { createHash } from 'node:crypto';
import { GraftError } from '../../shared/errors.ts';
import type { UploadTarget } from '../../shared/runner.ts';
import type { Settings } from '../env.ts';
import { S3Client } from './s3-client.ts';
import {
  completeMultipartXml,
  deleteObjectsXml,
  parseDeleteErrors,
  parseError,
  parseListObjects,
  parseListParts,
  textOf,
  unquoteEtag,
  type ListedObject,
  type ListedPart,
} from './s3-xml.ts';

/** Keys of one DeleteObjects request. A request of a Worker may make a limited number of others, and a classifier has thousands of originals. */
const DELETES_AT_ONCE = 1_000;

/** Of the store itself: S3 says them with status 200 where it had begun to answer, and the same request is to be sent again. */
const PASSING_ERRORS: ReadonlySet<string> = new Set(['InternalError', 'ServiceUnavailable', 'SlowDown', 'RequestTimeout', 'OperationAborted']);

export type ObjectInfo = {
  readonly bytes: number;
  readonly etag: string;
  readonly contentType: string | null;
  /** Hex; null where the store does not keep it. */
  readonly sha256: string | null;
};

/** `sha256`: hex, of a part of a `checked` upload. */
export type JoinedPart = { readonly number: number; readonly etag: string; readonly sha256?: string };

export type CompletedMultipart =
  | { readonly ok: true; readonly etag: string }
  | { readonly ok: false; readonly code: string; readonly detail: string };

/** What use cases may do with object storage. Every method throws GraftError `unavailable` when the store cannot be reached. */
export interface Objects {
  get(key: string): Promise<Uint8Array | null>;
  /** `bytes` from `start` on, fewer where the object ends before. */
  getRange(key: string, start: number, bytes: number): Promise<Uint8Array | null>;
  /** For answers that pass an object through without holding it. */
  getStream(key: string): Promise<{ body: ReadableStream<Uint8Array>; bytes: number; contentType: string | null } | null>;
  /** False when `ifNoneMatch` was asked and the key exists already, or `ifMatch` and it has another ETag; its old bytes stay. */
  put(key: string, bytes: Uint8Array, more?: { contentType?: string; ifNoneMatch?: '*'; ifMatch?: string }): Promise<boolean>;
  head(key: string): Promise<ObjectInfo | null>;
  /** One page of the objects under a prefix, with what asks for the next one; null: there is none. */
  list(prefix: string, from?: string | null): Promise<{ objects: ListedObject[]; next: string | null }>;
  /** Missing keys are no error. */
  delete(keys: readonly string[]): Promise<void>;
  presignGet(key: string, more: { ttlSeconds: number; downloadName?: string }): Promise<string>;
  /** The store refuses another length, type or SHA-256. The client's HTTP library sends content-length itself, so it is not in `headers`. */
  presignPut(key: string, file: { sha256: string; bytes: number; contentType?: string; ttlSeconds: number }): Promise<UploadTarget>;
  /** Answers the store's multipart id. With `checked` every part is a `presignCheckedPart`, and is joined with its SHA-256: S3 wants it at all three or at none. */
  createMultipart(key: string, more?: { contentType?: string; checked?: boolean }): Promise<string>;
  /** No header is signed, so any HTTP client can PUT a part; sizes are checked when the upload is completed. */
  presignPart(key: string, multipartId: string, number: number, ttlSeconds: number): Promise<string>;
  /** As `presignPut`: the store refuses a part of another length or SHA-256. */
  presignCheckedPart(
    key: string,
    multipartId: string,
    part: { number: number; sha256: string; bytes: number; ttlSeconds: number },
  ): Promise<UploadTarget>;
  /** Null when the store no longer knows the upload (completed or aborted). */
  listParts(key: string, multipartId: string): Promise<ListedPart[] | null>;
  completeMultipart(key: string, multipartId: string, parts: readonly JoinedPart[]): Promise<CompletedMultipart>;
  abortMultipart(key: string, multipartId: string): Promise<void>;
  /** A DELETE. It does nothing to an upload that was joined, nor to its object. */
  presignAbort(key: string, multipartId: string, ttlSeconds: number): Promise<string>;
}

export function makeObjects(s3: Settings['s3']): Objects {
  const client = new S3Client(s3);

  async function remove(keys: readonly string[]): Promise<void> {
    const body = deleteObjectsXml(keys);
    // S3 wants one of the checksums, and this is the one that every store knows.
    const headers = { 'content-type': 'application/xml', 'content-md5': createHash('md5').update(body).digest('base64') };
    const response = await client.send({ method: 'POST', key: '', query: { delete: '' }, headers, body });
    // With status 200, because each key has its own outcome.
    const code = parseDeleteErrors(await response.text()).find((one) => one !== 'NoSuchKey');
    if (code !== undefined) throw new GraftError('unavailable', `The object storage did not delete all that it was asked to (${code}). Try again.`);
  }

  return {
    async get(key) {
      const response = await client.send({ method: 'GET', key, allow: [404] });
      if (response.status === 404) return await discard(response);
      return new Uint8Array(await response.arrayBuffer());
    },

    async getRange(key, start, bytes) {
      const headers = { range: `bytes=${start}-${start + bytes - 1}` };
      const response = await client.send({ method: 'GET', key, headers, allow: [404] });
      if (response.status === 404) return await discard(response);
      if (response.status !== 206) {
        await discard(response);
        throw new GraftError('unavailable', 'The object storage does not answer with a part of an object.');
      }
      return new Uint8Array(await response.arrayBuffer());
    },

    async getStream(key) {
      const response = await client.send({ method: 'GET', key, allow: [404] });
      if (response.status === 404 || !response.body) return await discard(response);
      const [length, contentType] = [response.headers.get('content-length'), response.headers.get('content-type')];
      if (length !== null) return { body: response.body, bytes: Number(length), contentType };
      // Compressed on its way, as some do with JSON and texts.
      const whole = await response.blob();
      return { body: whole.stream(), bytes: whole.size, contentType };
    },

    async put(key, bytes, more = {}) {
      const headers: Record<string, string> = { 'content-type': more.contentType ?? 'application/octet-stream' };
      if (more.ifNoneMatch) headers['if-none-match'] = more.ifNoneMatch;
      if (more.ifMatch) headers['if-match'] = `"${more.ifMatch}"`;
      const response = await client.send({ method: 'PUT', key, headers, body: bytes, ...(more.ifNoneMatch || more.ifMatch ? { allow: [412] } : {}) });
      await discard(response);
      return response.ok;
    },

    async head(key) {
      const response = await client.send({ method: 'HEAD', key, headers: { 'x-amz-checksum-mode': 'ENABLED' }, allow: [404] });
      await discard(response);
      if (response.status === 404) return null;
      const checksum = response.headers.get('x-amz-checksum-sha256');
      return {
        bytes: Number(response.headers.get('content-length')),
        etag: unquoteEtag(response.headers.get('etag') ?? ''),
        contentType: response.headers.get('content-type'),
        sha256: checksum && !checksum.includes('-') ? base64ToHex(checksum) : null,
      };
    },

    async list(prefix, from = null) {
      const query = { 'list-type': '2', prefix, ...(from === null ? {} : { 'continuation-token': from }) };
      const response = await client.send({ method: 'GET', key: '', query });
      return parseListObjects(await response.text());
    },

    async delete(keys) {
      if (keys.length === 1) await discard(await client.send({ method: 'DELETE', key: keys[0]!, allow: [404] }));
      else for (let at = 0; at < keys.length; at += DELETES_AT_ONCE) await remove(keys.slice(at, at + DELETES_AT_ONCE));
    },

    async presignGet(key, more) {
      const query: Record<string, string> = more.downloadName
        ? { 'response-content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(more.downloadName)}` }
        : {};
      return await client.presign('GET', key, { ttlSeconds: more.ttlSeconds, query });
    },

    async presignPut(key, file) {
      const headers = {
        'content-type': file.contentType ?? 'application/octet-stream',
        'x-amz-checksum-sha256': hexToBase64(file.sha256),
      };
      const signed = { ...headers, 'content-length': String(file.bytes) };
      return { url: await client.presign('PUT', key, { ttlSeconds: file.ttlSeconds, headers: signed }), headers, key };
    },

    async createMultipart(key, more = {}) {
      const headers: Record<string, string> = { 'content-type': more.contentType ?? 'application/octet-stream' };
      if (more.checked) headers['x-amz-checksum-algorithm'] = 'SHA256';
      const response = await client.send({ method: 'POST', key, query: { uploads: '' }, headers });
      const id = textOf(await response.text(), 'UploadId');
      if (!id) throw new GraftError('unavailable', 'The object storage gave no id for a multipart upload.');
      return id;
    },

    async presignPart(key, multipartId, number, ttlSeconds) {
      return await client.presign('PUT', key, { ttlSeconds, query: { partNumber: String(number), uploadId: multipartId } });
    },

    async presignCheckedPart(key, multipartId, part) {
      const headers = { 'x-amz-checksum-sha256': hexToBase64(part.sha256) };
      const query = { partNumber: String(part.number), uploadId: multipartId };
      const signed = { ...headers, 'content-length': String(part.bytes) };
      return { url: await client.presign('PUT', key, { ttlSeconds: part.ttlSeconds, query, headers: signed }), headers, key };
    },

    async listParts(key, multipartId) {
      const all: ListedPart[] = [];
      let marker: number | null = 0;
      while (marker !== null) {
        const query: Record<string, string> = { uploadId: multipartId, 'max-parts': '1000' };
        if (marker > 0) query['part-number-marker'] = String(marker);
        const response = await client.send({ method: 'GET', key, query, allow: [404] });
        if (response.status === 404) return await discard(response);
        const page = parseListParts(await response.text());
        all.push(...page.parts);
        // A store that repeats its marker must not keep this loop alive.
        marker = page.nextMarker !== null && page.nextMarker > marker ? page.nextMarker : null;
      }
      return all;
    },

    async completeMultipart(key, multipartId, parts) {
      const response = await client.send({
        method: 'POST',
        key,
        query: { uploadId: multipartId },
        headers: { 'content-type': 'application/xml' },
        body: completeMultipartXml(parts.map(({ sha256, ...part }) => ({ ...part, checksum: sha256 === undefined ? null : hexToBase64(sha256) }))),
        allow: [400, 404],
      });
      const text = await response.text();
      // S3 may answer 200 and put the error into the body, because it starts to answer before it is done.
      const error = parseError(text);
      if (error && PASSING_ERRORS.has(error.code))
        throw new GraftError('unavailable', `The object storage broke off while it joined the parts (${error.code}). They are kept; try again.`);
      if (error || !response.ok) return { ok: false, code: error?.code ?? `status_${response.status}`, detail: error?.message ?? '' };
      return { ok: true, etag: unquoteEtag(textOf(text, 'ETag') ?? '') };
    },

    async abortMultipart(key, multipartId) {
      await discard(await client.send({ method: 'DELETE', key, query: { uploadId: multipartId }, allow: [404] }));
    },

    async presignAbort(key, multipartId, ttlSeconds) {
      return await client.presign('DELETE', key, { ttlSeconds, query: { uploadId: multipartId } });
    },
  };
}

/** Frees the connection of an answer whose body nobody reads. */
async function discard(response: Response): Promise<null> {
  await response.body?.cancel();
  return null;
}

function hexToBase64(hex: string): string {
  return btoa(String.fromCharCode(...(hex.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16))));
}

function base64ToHex(base64: string): string {
  return Array.from(atob(base64), (c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('');
}
