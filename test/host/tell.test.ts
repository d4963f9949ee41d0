/** What a host says while an engine trains, against a Worker and a store that will not listen: only the loss of the lease ends the work. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Checkpoints, tell } from '../../gpu-trainer/host/tell.ts';
import { EventsRequest } from '../../shared/runner.ts';
import { makeWorkerApi, StaleLease } from '../../gpu-trainer/host/worker-api.ts';

/** Status by what is asked, 200 where nothing is named; what was said to each. */
let refusing: Record<string, number> = {};
let said: [string, unknown][] = [];
let server: Server;
let url = '';
let folder = '';
beforeAll(async () => {
  server = createServer((request, response) => {
    void text(request).then((body) => {
      const what = path.basename(request.url ?? '');
      const json: unknown = request.method === 'POST' ? JSON.parse(body) : body;
      said.push([what, json]);
      const target = { url: `${url}/put`, headers: {}, key: 'k' };
      const asked = typeof json === 'object' && json !== null && 'stored' in json && json.stored === false;
      response.writeHead(refusing[what] ?? (what === 'events' ? 204 : 200));
      response.end(what === 'checkpoint' ? JSON.stringify({ upload: asked ? target : null }) : what === 'events' ? '' : '{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  folder = await mkdtemp(path.join(tmpdir(), 'graft-tell-'));
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  refusing = {};
  said = [];
});

const c = () => ({ api: makeWorkerApi(url, 'a token of a host'), lease: { token: 'tok' } });
const line = async (name = 'checkpoint') => {
  const file = path.join(folder, `${name}.safetensors`);
  await writeFile(file, 'weights');
  return { type: 'checkpoint' as const, file, epoch: 3, sha256: 'ab', bytes: 7 };
};
const words = () => said.map(([what]) => what);

describe('a checkpoint', () => {
  it('is asked for, sent and recorded, and stays on the disk until the next one is there', async () => {
    const checkpoints = new Checkpoints();
    const made = await line();
    await checkpoints.store(c(), made);
    const facts = { epoch: 3, sha256: 'ab', bytes: 7 };
    expect(said).toEqual([
      ['checkpoint', { ...facts, stored: false }],
      ['put', 'weights'],
      ['checkpoint', { ...facts, stored: true }],
    ]);
    expect([checkpoints.last, existsSync(made.file)]).toEqual([made.file, true]);
    // An engine that was started again may write the same epoch under the same name.
    await checkpoints.store(c(), await line());
    expect(existsSync(made.file)).toBe(true);
    const next = await line('next');
    await checkpoints.store(c(), next);
    expect([checkpoints.last, existsSync(made.file), existsSync(next.file)]).toEqual([next.file, false, true]);
  });

  it.each([
    ['the store', 'put', ['checkpoint', 'put', 'events']],
    ['the Worker', 'checkpoint', ['checkpoint', 'events']],
  ])('that %s refuses costs what other hosts could go on from, not the training', async (_, who, expected) => {
    refusing = { [who]: 403 };
    const checkpoints = new Checkpoints();
    const made = await line();
    await checkpoints.store(c(), made);
    expect(words()).toEqual(expected);
    expect(JSON.stringify(said.at(-1))).toContain('could not be stored; the training goes on');
    expect([checkpoints.last, existsSync(made.file)]).toEqual([made.file, true]);
  });

  it('of a lease that has passed on ends the work', async () => {
    refusing = { checkpoint: 409 };
    await expect(new Checkpoints().store(c(), await line())).rejects.toThrow(StaleLease);
  });
});

describe('events', () => {
  it('that say more than a line of the log may hold are cut with a mark, not lost', async () => {
    // Its 1,992nd unit is the first half of a pair.
    const long = `${'é'.repeat(1_991)}${'🙂'.repeat(50)}`;
    await tell(c(), [
      { type: 'log', level: 'warning', message: long },
      { type: 'log', level: 'info', message: 'short' },
    ]);
    const { events } = EventsRequest.parse(said[0]![1]);
    const messages = events.map((event) => (event.type === 'log' ? event.message : ''));
    expect(messages).toEqual([`${'é'.repeat(1_991)}\u{FFFD} … (cut)`, 'short']);
  });

  it('that nobody takes are lost, unless the lease is', async () => {
    refusing = { events: 400 };
    await tell(c(), [{ type: 'phase', phase: 'training' }]);
    expect(said).toEqual([['events', { events: [{ type: 'phase', phase: 'training' }], first: 1 }]]);
    refusing = { events: 409 };
    await expect(tell(c(), [{ type: 'phase', phase: 'training' }])).rejects.toThrow(StaleLease);
  });
});
