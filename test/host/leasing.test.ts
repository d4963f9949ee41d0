/** A host that asks for work over a line that loses answers: what it was given is never left to run out. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { makeWorkerApi } from '../../gpu-trainer/host/worker-api.ts';
import { LeaseRequest } from '../../shared/runner.ts';

/** What each request for work is answered; null: the line breaks. */
let answers: (number | null)[] = [];
/** Tokens that were asked with, and those that were given back. */
let asked: unknown[] = [];
let returned: string[] = [];
let onAsked: () => void = () => undefined;
let server: Server;
let url = '';
beforeAll(async () => {
  server = createServer((request, response) => {
    void json(request).then((body) => {
      if (request.url?.endsWith('/release')) {
        returned.push(path.basename(path.dirname(request.url)));
        return void response.writeHead(204).end();
      }
      asked.push(LeaseRequest.parse(body).token);
      onAsked();
      const status = answers[asked.length - 1];
      if (status === null) request.socket.destroy();
      else if (status !== undefined) response.writeHead(status).end();
      return undefined;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  [answers, asked, returned] = [[], [], []];
  onAsked = () => undefined;
});

const request: Omit<LeaseRequest, 'token'> = { host: 'h', capacity: { kinds: ['train'], device: 'cpu' }, wait_seconds: 0 };

it('asks with one token until there is an answer, and with another one then', async () => {
  answers = [null, 502, 204, 204];
  const ask = makeWorkerApi(url, 'secret').leasing();
  const { signal } = new AbortController();
  for (let i = 0; i < 2; i++) await expect(ask(request, signal)).rejects.toThrow();
  for (let i = 0; i < 2; i++) expect(await ask(request, signal)).toBeNull();
  expect(asked[0]).toMatch(/^lease_[0-9a-f]{64}$/);
  expect(asked.map((token) => token === asked[0])).toEqual([true, true, true, false]);
  expect(returned).toEqual([]);
});

it('gives back what it may have been given when it is stopped', async () => {
  const over = new AbortController();
  onAsked = () => over.abort();
  await expect(makeWorkerApi(url, 'secret').leasing()(request, over.signal)).rejects.toThrow(/abort/i);
  expect(returned).toEqual(asked);
});
