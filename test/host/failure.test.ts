/** What a host reports of its own failures, from the errors that really occur. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failureOf } from '../../gpu-trainer/host/failure.ts';
import { download } from '../../gpu-trainer/host/transfer.ts';
import { makeWorkerApi } from '../../gpu-trainer/host/worker-api.ts';
import { FailRequest } from '../../shared/runner.ts';

const bytes = Buffer.alloc(200_000, 7);
const sha256 = createHash('sha256').update(bytes).digest('hex');
const signal = new AbortController().signal;
let server: Server;
let url = '';
let folder = '';
let requests = 0;
let status = 200;
let said: unknown = null;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-failure-'));
  server = createServer((request, response) => {
    requests += 1;
    if (request.method === 'GET') return void response.writeHead(status).end(bytes);
    void json(request).then((body) => {
      said = body;
      const taken = FailRequest.safeParse(body);
      response.writeHead(taken.success ? 204 : 400).end(taken.success ? '' : JSON.stringify({ detail: taken.error.message }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

const failing = async (from: { sha256: string | null; bytes: number | null }, name: string): Promise<unknown> =>
  await download({ url, ...from }, path.join(folder, name), signal).then(
    () => null,
    (error: unknown) => error,
  );

describe('a failure of the host', () => {
  it('is a full disk when a write finds no room, without a second try and without a piece of the file', async () => {
    // Every write to /dev/full fails as on a full disk.
    await symlink('/dev/full', path.join(folder, 'full.part'));
    requests = 0;
    const error = await failing({ sha256, bytes: bytes.length }, 'full');
    expect(failureOf(error)).toMatchObject({ code: 'disk_full', retryable: true, blame: 'graft' });
    expect(failureOf(error).detail).not.toContain(folder);
    expect(requests).toBe(1);
    expect(existsSync(path.join(folder, 'full.part'))).toBe(false);
  });

  it('is a corrupt input when the store has other bytes than were recorded', async () => {
    const error = await failing({ sha256: '0'.repeat(64), bytes: bytes.length }, 'other');
    expect(failureOf(error)).toMatchObject({ code: 'input_corrupt', retryable: true, blame: 'graft' });
    expect(failureOf(error).detail).not.toContain(folder);
    expect(existsSync(path.join(folder, 'other.part'))).toBe(false);
  });

  it('is a refusal of the store when the file may not be had', async () => {
    status = 404;
    const error = await failing({ sha256, bytes: bytes.length }, 'missing');
    status = 200;
    expect(failureOf(error)).toMatchObject({ code: 'store_refused', detail: 'Object storage answered 404 for a file of this work.' });
  });

  it('is what it is otherwise', () => {
    expect(failureOf(new Error('x'.repeat(9_000)))).toMatchObject({
      code: 'host_failed',
      detail: 'x'.repeat(9_000),
      retryable: true,
      blame: 'graft',
    });
  });

  it('names no path of the machine, and leaves what is none', () => {
    const of = (message: string) => failureOf(new Error(message)).detail;
    expect(of("ENOENT: no such file or directory, open '/srv/graft/work/job-a1/out/head.safetensors'")).toBe(
      "ENOENT: no such file or directory, open '…/head.safetensors'",
    );
    expect(of('File "/usr/lib/python3.10/json/decoder.py", line 3, and/or /tmp')).toBe('File "…/decoder.py", line 3, and/or /tmp');
    for (const text of ['GET https://store.example/bucket/key answered', 'image/png at 5/8', '/job']) expect(of(text)).toBe(text);
  });

  it('that is told at length, by the host or by its engine, is cut with a mark to what the Worker takes', async () => {
    const failure = { code: 'options_invalid', retryable: false, blame: 'caller' } as const;
    await makeWorkerApi(url, 'secret').fail('tok', { ...failure, detail: `No such label: ${'x'.repeat(9_000)}` });
    expect(said).toEqual({ ...failure, detail: `No such label: ${'x'.repeat(3_977)} … (cut)` });
  });
});
