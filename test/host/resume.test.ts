/** Downloads over a line that breaks: what arrived is not sent again, and never joined with bytes of another object. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { download, TransferRefused } from '../../gpu-trainer/host/transfer.ts';

const bytes = randomBytes(300_000);
const sha256 = createHash('sha256').update(bytes).digest('hex');
const { signal } = new AbortController();
let answers: ((response: ServerResponse, range: string | undefined) => void)[] = [];
/** `range` and `if-range` of each request. */
let asked: unknown[] = [];
let server: Server;
let url = '';
let folder = '';

beforeAll(async () => {
  server = createServer((request: IncomingMessage, response) => {
    const { range, 'if-range': ifRange } = request.headers;
    asked.push(range === undefined ? null : [range, ifRange]);
    answers[Math.min(asked.length, answers.length) - 1]!(response, range);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  folder = await mkdtemp(path.join(tmpdir(), 'graft-resume-'));
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  asked = [];
});

/** Until so much of the download is on the disk: bytes on their way are lost when a line breaks, however long one waits. */
const onDisk = async (size: number): Promise<void> => {
  const arrived = async () =>
    await stat(path.join(folder, 'file.part')).then(
      (file) => file.size,
      () => 0,
    );
  while ((await arrived()) < size) await sleep(5);
};

/** Says that all of `from` comes, sends as much as `to`, and breaks off when that has arrived. */
const cutAt =
  (to: number, etag: string | null = '"one"') =>
  (response: ServerResponse, range?: string): void => {
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    response.writeHead(range === undefined ? 200 : 206, {
      'content-length': bytes.length - from,
      ...(range === undefined ? {} : { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
      ...(etag === null ? {} : { etag }),
    });
    if (to >= bytes.length) response.end(bytes.subarray(from));
    else {
      response.write(bytes.subarray(from, to));
      void onDisk(to).then(() => response.destroy());
    }
  };
const whole = cutAt(bytes.length);
const fetched = async (promised: string | null = sha256) => {
  const file = path.join(folder, 'file');
  expect(await download({ url, bytes: bytes.length, sha256: promised }, file, signal)).toEqual({ bytes: bytes.length, sha256 });
  expect(Buffer.compare(await readFile(file), bytes)).toBe(0);
  expect(await readdir(folder)).toEqual(['file']);
};

it('a download goes on where the line broke, again and again, and its digest is that of the whole', async () => {
  answers = [cutAt(100_000), cutAt(200_000), (response) => void response.writeHead(503).end('SlowDown'), whole];
  await fetched();
  const rest = ['bytes=200000-', '"one"'];
  expect(asked).toEqual([null, ['bytes=100000-', '"one"'], rest, rest]);
});

it.each([
  ['names no version of it', null],
  ['does not promise the same bytes', 'W/"one"'],
])('a store that %s is asked for the whole', async (_, etag) => {
  answers = [cutAt(100_000, etag), whole];
  await fetched();
  expect(asked).toEqual([null, null]);
});

it('a store that has another object by now, or no such rest, or that answers with the whole, gives the whole', async () => {
  const other = (response: ServerResponse) =>
    void response.writeHead(206, { etag: '"two"', 'content-range': `bytes 100000-299999/300000` }).end(randomBytes(200_000));
  const elsewhere = (response: ServerResponse) =>
    void response.writeHead(206, { etag: '"one"', 'content-range': `bytes 5-299999/300000` }).end(bytes.subarray(5));
  for (const second of [other, elsewhere, (response: ServerResponse) => void response.writeHead(416).end()]) {
    asked = [];
    answers = [cutAt(100_000), second, whole];
    // Without a promised digest nothing but the ETag says it.
    await fetched(null);
    expect(asked).toEqual([null, ['bytes=100000-', '"one"'], null]);
  }
  asked = [];
  answers = [cutAt(100_000), (response) => whole(response)];
  await fetched();
  expect(asked).toEqual([null, ['bytes=100000-', '"one"']]);
});

it('too many requests, and a client that was too slow, come again; what the store refuses does not', async () => {
  const slow = '<Error><Code>RequestTimeout</Code></Error>';
  answers = [(response) => void response.writeHead(429).end(), (response) => void response.writeHead(400).end(slow), whole];
  await fetched();
  asked = [];
  answers = [(response) => void response.writeHead(400).end('<Error><Code>InvalidArgument</Code></Error>')];
  await expect(fetched()).rejects.toThrow(TransferRefused);
  expect(asked).toEqual([null]);
});
