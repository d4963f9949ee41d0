/**
 * A caller that goes away ends its request at once, with all that it was doing, on Cloudflare as here. What others of the same isolate wait for goes on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Miniflare } from 'miniflare';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { bundleBenchWorker } from '../../infra/bench/bare.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'graft-disconnects-'));
/** What the Worker asks for is answered when the test says so. */
let asked: ServerResponse[] = [];
let tell: () => void = () => undefined;
const slow = createServer((_, response) => {
  asked.push(response);
  tell();
});
let miniflare: Miniflare;
let url: URL;

beforeAll(async () => {
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
  const { script, wasm } = await bundleBenchWorker('../../test/setup/disconnect-worker.ts', folder);
  miniflare = new Miniflare({
    host: '127.0.0.1',
    modulesRoot: folder,
    modules: [{ type: 'ESModule', path: script }, ...wasm.map((file) => ({ type: 'CompiledWasm' as const, path: file }))],
    compatibilityDate: '2026-07-01',
    compatibilityFlags: ['nodejs_compat'],
    bindings: { SLOW: `http://127.0.0.1:${(slow.address() as AddressInfo).port}` },
  });
  url = await miniflare.ready;
}, 180_000);
afterAll(async () => {
  await miniflare.dispose();
  slow.closeAllConnections();
  slow.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  asked = [];
});

const get = async (what: string) => await (await fetch(new URL(what, url), { signal: AbortSignal.timeout(10_000) })).text();
const answerAll = () => asked.splice(0).forEach((response) => response.end('x'));

/** A caller that hangs up once its request has got as far as `until`. */
async function goAway(what: string, until: () => Promise<unknown>): Promise<void> {
  const socket = connect(Number(url.port), '127.0.0.1').on('error', () => undefined);
  socket.write(`GET /${what} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await until();
  socket.resetAndDestroy();
  // The Worker has to hear of it.
  await sleep(200);
}
const arrived = async () => await new Promise<void>((resolve) => (tell = resolve));

it.each(['heads', 'encoder', 'networks', 'queue'])('who waits for %s that a caller had begun is answered though that one has gone', async (what) => {
  await goAway(what, arrived);
  const second = get(what);
  await sleep(100);
  answerAll();
  tell = answerAll;
  expect(await second).toMatch(/^done/);
  expect(await get(what)).toMatch(/^done/);
});

it('a caller that goes away while it stands in the queue does not stop it', async () => {
  const running = arrived();
  const first = get('queue');
  await running;
  await goAway('queue', async () => await sleep(200));
  tell = answerAll;
  answerAll();
  expect(await first).toBe('done');
  expect(await get('queue')).toBe('done');
});
