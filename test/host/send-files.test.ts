/** Files of a piece of work on their way to the real object store, over a line that breaks; the Worker's side is its own code for that store. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { makeObjects, type Objects } from '../../functions/objects/objects.ts';
import { joinParts } from '../../functions/usecases/datasets/join-parts.ts';
import { sendFiles, type NamedFile } from '../../gpu-trainer/host/send-files.ts';
import { Checkpoints } from '../../gpu-trainer/host/tell.ts';
import { makeWorkerApi, StaleLease } from '../../gpu-trainer/host/worker-api.ts';
import { startObjectStore, type ObjectStore } from '../../infra/object-store.ts';
import { ERRORS, GraftError } from '../../shared/errors.ts';
import { CheckpointRequest, JoinRequest, PartRequest, type ArtifactsRequest } from '../../shared/runner.ts';

/** The smallest part that stores take. */
const PART = 5 * 1024 * 1024;
let store: ObjectStore;
let objects: Objects;
let line: Server;
let worker: Server;
let workerUrl = '';
let folder = '';
/** What passed over the line, as `number of the part` (0: a whole file; -1: a join), and what happens to it there. */
let sent: number[] = [];
let breaks: (number: number, nth: number, response: ServerResponse) => boolean = () => false;
let stale: (verb: string, body: { number?: number }) => boolean = () => false;
let opened: string[] = [];
let run = 0;

const listen = async (server: Server) => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};
const keyOf = (name: string) => `tests/${run}/${name}`;

/** To the store as it came, Host included: the signature covers it. */
function passOn(request: IncomingMessage, response: ServerResponse): void {
  const query = new URL(request.url ?? '', 'http://x').searchParams;
  const joins = request.method === 'POST' && query.has('uploadId');
  const number = joins ? -1 : Number(query.get('partNumber'));
  if (request.method === 'PUT' || joins) {
    sent.push(number);
    if (breaks(number, sent.filter((n) => n === number).length, response)) return;
  }
  const { hostname, port } = new URL(store.endpoint);
  const onward = ask({ hostname, port, method: request.method, path: request.url, headers: request.headers }, (answered) => {
    response.writeHead(answered.statusCode ?? 502, answered.headers);
    answered.pipe(response);
  });
  onward.on('error', () => response.destroy());
  request.pipe(onward);
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const verb = path.basename(request.url ?? '');
  const body = await json(request);
  const say = (status: number, what: unknown) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(what));
  if (stale(verb, body as { number?: number })) return void say(409, { detail: 'stale' });
  const ttlSeconds = 600;
  if (verb === 'artifacts') {
    const { files } = body as ArtifactsRequestBody;
    const uploads: Record<string, unknown> = {};
    const inParts: Record<string, unknown> = {};
    for (const { name, sha256, bytes } of files) {
      uploads[name] = await objects.presignPut(keyOf(name), { sha256, bytes, ttlSeconds });
      if (bytes <= PART) continue;
      const upload = await objects.createMultipart(keyOf(name), { checked: true });
      opened.push(upload);
      inParts[name] = { upload, part_bytes: PART, abort: await objects.presignAbort(keyOf(name), upload, ttlSeconds) };
    }
    return void say(200, { uploads, in_parts: inParts });
  }
  if (verb === 'checkpoint') {
    const { sha256, bytes, stored } = CheckpointRequest.parse(body);
    if (stored) return void say(200, { upload: null });
    const key = keyOf('checkpoint');
    opened.push(await objects.createMultipart(key, { checked: true }));
    const abort = await objects.presignAbort(key, opened[0]!, ttlSeconds);
    const inParts = { name: 'checkpoint', upload: opened[0], part_bytes: PART, abort };
    return void say(200, { upload: await objects.presignPut(key, { sha256, bytes, ttlSeconds }), in_parts: inParts });
  }
  if (verb === 'events') return void response.writeHead(204).end();
  if (verb === 'part') {
    const { name, upload, ...part } = PartRequest.parse(body);
    return void say(200, { upload: await objects.presignCheckedPart(keyOf(name), upload, { ...part, ttlSeconds }) });
  }
  const { name, upload, bytes, part_bytes: partBytes, parts } = JoinRequest.parse(body);
  await joinParts({ objects }, { objectKey: keyOf(name), multipartId: upload, bytes, partBytes }, parts);
  response.writeHead(204).end();
}
type ArtifactsRequestBody = ReturnType<(typeof ArtifactsRequest)['parse']>;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'graft-send-'));
  store = await startObjectStore({ dir: path.join(folder, 'store') });
  line = createServer(passOn);
  worker = createServer((request, response) => {
    serve(request, response).catch((error: unknown) =>
      response.writeHead(error instanceof GraftError ? ERRORS[error.code].status : 400).end(JSON.stringify({ detail: String(error) })),
    );
  });
  const endpoint = await listen(line);
  objects = makeObjects({ ...store, endpoint, publicEndpoint: endpoint });
  workerUrl = await listen(worker);
}, 180_000);
afterAll(async () => {
  for (const server of [line, worker]) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  await store.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  run += 1;
  [sent, opened] = [[], []];
  breaks = () => false;
  stale = () => false;
});

async function fileOf(name: string, size: number): Promise<NamedFile & { content: Buffer }> {
  const content = randomBytes(size);
  const file = path.join(folder, name);
  await writeFile(file, content);
  return { name, file, content, bytes: size, sha256: createHash('sha256').update(content).digest('hex') };
}
const send = async (files: readonly NamedFile[], over = new AbortController()) =>
  await sendFiles({ api: makeWorkerApi(workerUrl, 'secret'), lease: { token: 'tok' }, keeper: { signal: over.signal } }, files);
/** Of every upload that was begun, whether the store still keeps its parts. */
const kept = async (name: string) =>
  (await Promise.all(opened.map(async (id) => await objects.listParts(keyOf(name), id)))).some((parts) => parts !== null);

it('a small file goes at once, a large one in parts, of which only the one that failed is sent again', async () => {
  const files = [await fileOf('dataset.safetensors', 2 * PART + 4_321), await fileOf('rows.jsonl', 300)];
  breaks = (number, nth, response) => {
    if (number === 2 && nth === 1) response.destroy();
    else if (number === 2 && nth === 2) response.writeHead(503).end('SlowDown');
    else return false;
    return true;
  };
  await send(files);
  expect(sent).toEqual([1, 2, 2, 2, 3, -1, 0]);
  for (const { name, content } of files) expect(Buffer.compare(Buffer.from((await objects.get(keyOf(name)))!), content)).toBe(0);
  expect(await kept('dataset.safetensors')).toBe(false);
});

it('a store that breaks off while it joins is asked again', async () => {
  const file = await fileOf('dataset.safetensors', PART + 7);
  breaks = (number, nth, response) => {
    if (number !== -1 || nth > 1) return false;
    // S3 has begun to answer by then: the status is 200, and the error in the body.
    response.writeHead(200).end('<?xml version="1.0"?><Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>');
    return true;
  };
  await send([file]);
  expect(sent).toEqual([1, 2, -1, -1]);
  expect(Buffer.compare(Buffer.from((await objects.get(keyOf(file.name)))!), file.content)).toBe(0);
});

it('a host whose lease is gone stops at the next part, and leaves none behind', async () => {
  const files = [await fileOf('embeddings.safetensors', 3 * PART)];
  stale = (verb, { number }) => verb === 'part' && number === 3;
  await expect(send(files)).rejects.toThrow(StaleLease);
  expect(sent).toEqual([1, 2]);
  expect(await kept('embeddings.safetensors')).toBe(false);
  expect(await objects.head(keyOf('embeddings.safetensors'))).toBeNull();
});

it('a lease that ends before the join, too: nothing is joined, and of later files nothing stays open', async () => {
  const files = [await fileOf('trunk.onnx', PART + 9), await fileOf('tail.onnx', PART + 9)];
  stale = (verb) => verb === 'join';
  await expect(send(files)).rejects.toThrow(StaleLease);
  expect(opened).toHaveLength(2);
  for (const { name } of files) {
    expect(await kept(name)).toBe(false);
    expect(await objects.head(keyOf(name))).toBeNull();
  }
});

it('a stop ends a part on its way, which is not repeated', async () => {
  const files = [await fileOf('dataset.safetensors', 3 * PART)];
  const over = new AbortController();
  breaks = (number) => {
    // Neither taken nor answered.
    if (number === 2) over.abort();
    return number === 2;
  };
  await expect(send(files, over)).rejects.toThrow(/abort/i);
  expect(sent).toEqual([1, 2]);
  expect(await kept('dataset.safetensors')).toBe(false);
});

it('a large checkpoint goes in parts as well, though its training was stopped, and leaves none where its lease is gone', async () => {
  const { content, ...made } = await fileOf('checkpoint', PART + 11);
  const c = { api: makeWorkerApi(workerUrl, 'secret'), lease: { token: 'tok' } };
  breaks = (number, nth, response) => {
    if (number === 2 && nth === 1) response.destroy();
    return number === 2 && nth === 1;
  };
  await new Checkpoints().store(c, { type: 'checkpoint', epoch: 2, ...made });
  expect(sent).toEqual([1, 2, 2, -1]);
  expect(Buffer.compare(Buffer.from((await objects.get(keyOf('checkpoint')))!), content)).toBe(0);

  [run, opened] = [run + 1, []];
  stale = (verb) => verb === 'join';
  await expect(new Checkpoints().store(c, { type: 'checkpoint', epoch: 2, ...made })).rejects.toThrow(StaleLease);
  expect(await kept('checkpoint')).toBe(false);
  expect(await objects.head(keyOf('checkpoint'))).toBeNull();
});
