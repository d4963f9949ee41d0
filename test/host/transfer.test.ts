/** Transfers and lease keeping against a server that breaks in every way a network does. */
import { createHash, randomBytes } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fetchBackbone, removeHalves } from '../../gpu-trainer/host/job-backbone.ts';
import { LeaseKeeper } from '../../gpu-trainer/host/lease-keeper.ts';
import { download, TransferRefused, upload } from '../../gpu-trainer/host/transfer.ts';
import { makeWorkerApi } from '../../gpu-trainer/host/worker-api.ts';
import type { Lease, WorkBackbone } from '../../shared/runner.ts';

let server: Server;
let url = '';
let answerWith: (request: IncomingMessage, response: ServerResponse, body: Buffer, n: number) => void;
let requests = 0;
let folder = '';
const signal = new AbortController().signal;
const bytes = randomBytes(300_000);
const sha256 = createHash('sha256').update(bytes).digest('hex');

beforeAll(async () => {
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => answerWith(request, response, Buffer.concat(parts), ++requests));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(async () => {
  requests = 0;
  folder = await mkdtemp(path.join(tmpdir(), 'graft-transfer-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('downloads', () => {
  const from = () => ({ url, sha256, bytes: bytes.length });
  const file = () => path.join(folder, 'file');

  it('are repeated after a cut, an error of the store and a short answer, and land whole', async () => {
    answerWith = (_, response, __, n) => {
      if (n === 1) response.writeHead(503).end();
      else if (n === 2) {
        response.writeHead(200, { 'content-length': bytes.length });
        response.write(bytes.subarray(0, 1_000), () => response.destroy());
      } else if (n === 3) response.end(bytes.subarray(0, 200_000));
      else response.end(bytes);
    };
    expect(await download(from(), file(), signal)).toEqual({ bytes: bytes.length, sha256 });
    expect(requests).toBe(4);
    expect(Buffer.compare(await readFile(file()), bytes)).toBe(0);
  });

  it('of other bytes than promised are refused and leave nothing behind', async () => {
    const other = Buffer.from(bytes);
    other[5]! ^= 1;
    answerWith = (_, response) => response.end(other);
    await expect(download(from(), file(), signal)).rejects.toThrow(TransferRefused);
    expect([requests, existsSync(file()), existsSync(`${file()}.part`)]).toEqual([1, false, false]);
  });

  it('that the store refuses are not repeated', async () => {
    answerWith = (_, response) => response.writeHead(403).end();
    await expect(download(from(), file(), signal)).rejects.toThrow(/403/);
    expect(requests).toBe(1);
  });

  it('of one backbone by both slots of a host do not write into one another', async () => {
    const one = { model: { name: 'weights', sha256, bytes: bytes.length }, data: null };
    const none = { background: null, background_inputs: null, vocabulary: null };
    const manifest = { id: 'one', trunk: one, tail: one, weights: null, ...none } as unknown as WorkBackbone['manifest'];
    const half = bytes.length / 2;
    const other = Promise.withResolvers<void>();
    answerWith = (_, response, __, n) => {
      response.writeHead(200, { 'content-length': bytes.length });
      // The second one has opened its file, and has nothing to write yet, while the first one ends.
      if (n === 1)
        response.write(
          bytes.subarray(0, half),
          () => void other.promise.then(async () => await sleep(200)).then(() => response.end(bytes.subarray(half))),
        );
      else {
        response.flushHeaders();
        other.resolve();
        setTimeout(() => response.end(bytes), 600);
      }
    };
    const fetched = async () => await readFile(path.join(await fetchBackbone({ manifest, files: { weights: from() } }, folder, signal), 'weights'));
    const first = fetched();
    await sleep(100);
    const second = fetched();
    expect(Buffer.compare(await first, bytes)).toBe(0);
    expect(Buffer.compare(await second, bytes)).toBe(0);
    expect(requests).toBe(2);
    expect((await readdir(path.join(folder, 'backbones', `one-${sha256.slice(0, 16)}`))).toSorted()).toEqual(['manifest.json', 'weights']);
  });

  it('that a killed host left half written in the cache of backbones are cleared away', async () => {
    const cache = path.join(folder, 'backbones', 'one-0123');
    await mkdir(cache, { recursive: true });
    for (const name of ['weights.safetensors', 'weights.safetensors.4b2f.part', 'manifest.json.0a0a.part'])
      await writeFile(path.join(cache, name), 'x');
    await removeHalves(folder);
    expect(await readdir(cache)).toEqual(['weights.safetensors']);
    await removeHalves(path.join(folder, 'not', 'there'));
  });

  it('end at once when the work is over', async () => {
    const over = new AbortController();
    answerWith = (_, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 1_000));
      setTimeout(() => over.abort(), 20);
    };
    await expect(download(from(), file(), over.signal)).rejects.toThrow(/abort/i);
    expect(existsSync(file())).toBe(false);
  });
});

describe('uploads', () => {
  it('send the signed headers and all bytes again after a cut', async () => {
    const file = path.join(folder, 'artifact');
    await writeFile(file, bytes);
    let seen: { headers: IncomingMessage['headers']; body: Buffer } | null = null;
    answerWith = (request, response, body, n) => {
      if (n === 1) return void request.socket.destroy();
      if (n === 2) return void response.writeHead(500).end('try later');
      seen = { headers: request.headers, body };
      response.end();
    };
    await upload(file, { key: 'k', url, headers: { 'x-amz-checksum-sha256': 'abc', host: 'elsewhere' } }, signal);
    expect(requests).toBe(3);
    expect(Buffer.compare(seen!.body, bytes)).toBe(0);
    expect(seen!.headers).toMatchObject({ 'x-amz-checksum-sha256': 'abc', 'content-length': String(bytes.length) });
    expect(seen!.headers.host).not.toBe('elsewhere');
  });

  it('that the store refuses say what it said', async () => {
    const file = path.join(folder, 'artifact');
    await writeFile(file, bytes);
    answerWith = (_, response) => response.writeHead(400).end('<Code>BadDigest</Code>');
    await expect(upload(file, { key: 'k', url, headers: {} }, signal)).rejects.toThrow(/400.*BadDigest/);
    expect(requests).toBe(1);
  });
});

describe('the keeper of a lease', () => {
  /** What the Worker's clock says when the host's is minutes ahead: no lease may seem over for that. */
  const AHEAD = new Date(Date.now() - 600_000).toISOString();
  const keep = (shutdown = new AbortController().signal, expiresInMs = 60_000): LeaseKeeper => {
    const lease = { token: 'tok', heartbeat_seconds: 0.03, expires_at: AHEAD, expires_in_seconds: expiresInMs / 1_000 } as Lease;
    return new LeaseKeeper(makeWorkerApi(url, 'secret'), lease, shutdown);
  };
  const beat = (response: ServerResponse, command: string) => response.end(JSON.stringify({ command, expires_at: AHEAD, expires_in_seconds: 60 }));
  const ended = async (keeper: LeaseKeeper): Promise<string | null> => {
    if (!keeper.signal.aborted)
      await Promise.race([new Promise<void>((resolve) => keeper.signal.addEventListener('abort', () => resolve())), sleep(20_000)]);
    keeper.close();
    return keeper.reason;
  };

  it('sends the latest progress, with the token, until it is closed', async () => {
    const bodies: string[] = [];
    answerWith = (request, response, body) => {
      expect(request.url).toBe('/runner/v1/leases/tok/heartbeat');
      expect(request.headers.authorization).toBe('Bearer secret');
      bodies.push(body.toString());
      beat(response, 'continue');
    };
    const keeper = keep();
    keeper.progress = { epoch: 1, epochs: 2, step: 3, examples_per_second: 4, eta_seconds: 5 };
    while (bodies.length < 3) await sleep(10);
    keeper.close();
    await sleep(300);
    const count = bodies.length;
    await sleep(150);
    expect(bodies.length).toBe(count);
    expect(JSON.parse(bodies[2]!)).toMatchObject({ progress: { step: 3 } });
    expect(keeper.reason).toBeNull();
  });

  for (const [command, reason] of [
    ['pause', 'paused'],
    ['cancel', 'cancelled'],
  ] as const)
    it(`stops the work when its owner says ${command}`, async () => {
      answerWith = (_, response) => beat(response, command);
      expect(await ended(keep())).toBe(reason);
    });

  it('stops the work when the lease has passed to another host', async () => {
    answerWith = (_, response) => response.writeHead(409).end('{}');
    expect(await ended(keep())).toBe('stale');
  });

  it('outlives a Worker that is down for a moment, but not the lease itself', async () => {
    answerWith = (_, response, __, n) => (n < 4 ? void response.writeHead(502).end() : beat(response, 'pause'));
    expect(await ended(keep())).toBe('paused');
    answerWith = (_, response) => response.writeHead(502).end();
    expect(await ended(keep(undefined, 100))).toBe('stale');
  });

  it('does not wait for a heartbeat that hangs until the lease is over', async () => {
    answerWith = (_, response, __, n) => {
      if (n > 1) beat(response, 'pause');
    };
    expect(await ended(keep())).toBe('paused');
    expect(requests).toBe(2);
  });

  it('leaves nothing of a lease behind with the host', () => {
    answerWith = (_, response) => beat(response, 'continue');
    const shutdown = new AbortController();
    const keepers = [keep(shutdown.signal), keep(shutdown.signal)];
    expect(getEventListeners(shutdown.signal, 'abort')).toHaveLength(2);
    for (const keeper of keepers) keeper.close();
    expect(getEventListeners(shutdown.signal, 'abort')).toEqual([]);
  });

  it('stops the work when the host is told to end', async () => {
    answerWith = (_, response) => beat(response, 'continue');
    const shutdown = new AbortController();
    const keeper = keep(shutdown.signal);
    shutdown.abort();
    expect(await ended(keeper)).toBe('shutdown');
  });
});
