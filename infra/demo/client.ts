/** Graft's HTTP surface as the demo uses it: plain requests, every answer parsed with the published schema. */
import { request } from 'node:http';
import type { z } from 'zod';

export type Body = Buffer | Readonly<Record<string, unknown>>;

/** An answer that was not 2xx. */
export class HttpFault extends Error {
  readonly status: number;
  constructor(what: string, status: number, body: string) {
    super(`${what}: ${status} ${body}`);
    this.status = status;
  }
}

export class Client {
  readonly #url: string;
  readonly #key: string;
  constructor(url: string, key: string) {
    this.#url = url;
    this.#key = key;
  }

  /** Sends JSON, or a PNG when `body` is a Buffer. @throws HttpFault unless 2xx; ZodError when the answer is not what the schema says */
  async send<S extends z.ZodType>(schema: S, method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: Body): Promise<z.infer<S>> {
    const raw = Buffer.isBuffer(body);
    const response = await fetch(this.#url + path, {
      method,
      headers: { authorization: `Bearer ${this.#key}`, ...(body ? { 'content-type': raw ? 'image/png' : 'application/json' } : {}) },
      ...(body ? { body: raw ? new Uint8Array(body) : JSON.stringify(body) } : {}),
    });
    const text = await response.text();
    if (!response.ok) throw new HttpFault(`${method} ${path}`, response.status, text);
    return schema.parse(JSON.parse(text));
  }

  /** The status of a request that should be refused. */
  async statusOf(path: string): Promise<number> {
    const response = await fetch(this.#url + path, { headers: { authorization: `Bearer ${this.#key}` } });
    await response.arrayBuffer();
    return response.status;
  }
}

const CHUNK = 64 * 1024;

/** PUT to a presigned URL; `onSent` gets the bytes of this part that left. Answers the ETag. */
export function putPart(url: string, bytes: Buffer, onSent: (sent: number) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const put = request(url, { method: 'PUT', headers: { 'content-length': bytes.length } }, (response) => {
      let text = '';
      response.on('data', (part: Buffer) => void (text += part.toString()));
      response.on('end', () => {
        const etag = response.headers.etag;
        if (response.statusCode === 200 && etag) resolve(etag);
        else reject(new HttpFault('PUT of a part', response.statusCode ?? 0, text));
      });
    });
    put.once('error', reject);
    const next = (from: number): void => {
      onSent(from);
      if (from >= bytes.length) return void put.end();
      put.write(bytes.subarray(from, from + CHUNK), () => next(Math.min(from + CHUNK, bytes.length)));
    };
    next(0);
  });
}
