/** A host that cannot do a piece of work, or is to end, gives it back: nobody may wait for one that only says that it is alive. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { NODE, ROOT } from '../../infra/paths.ts';

const HEARTBEAT_SECONDS = 0.05;
const ASKS_MS = 200;

type Said = { readonly verb: string; readonly body: unknown };
type Beside = { readonly host: ChildProcess; readonly said: Said[] };
type Worker = {
  /** Called before the one piece of work is given. */
  readonly prepare?: (folder: string) => void;
  readonly archive?: (url: string) => { url: string; bytes: null; sha256: null; filename: string };
  /** How long a host that gives work back waits for its answer. */
  readonly releaseMs?: number;
};

/** A real host beside a Worker that has one dataset to validate. */
async function withHost({ prepare, archive, releaseMs = 0 }: Worker, then: (beside: Beside) => Promise<void>): Promise<void> {
  const root = mkdtempSync(path.join(tmpdir(), 'graft-work-'));
  const folder = path.join(root, 'work');
  const said: Said[] = [];
  let url = '';
  let given = false;
  const server = createServer((request, response) => {
    void text(request).then(async (body) => {
      const verb = path.basename(request.url ?? '');
      if (request.method === 'GET') return void said.push({ verb, body: null });
      if (verb !== 'lease') {
        if (verb === 'release') await sleep(releaseMs);
        said.push({ verb, body: JSON.parse(body) });
        const expires_at = new Date(Date.now() + 60_000).toISOString();
        return verb === 'heartbeat' ? response.end(JSON.stringify({ command: 'continue', expires_at })) : response.writeHead(204).end();
      }
      if (given || !body.includes('validate')) {
        await sleep(ASKS_MS);
        return response.writeHead(204).end();
      }
      given = true;
      prepare?.(folder);
      const work = { kind: 'validate', dataset: 'ds_1', name: 'd', modality: 'image', format: 'imagefolder', columns: null, split_seed: 1 };
      const lease = {
        token: 'tok',
        fence: 1,
        attempt: 1,
        expires_at: new Date(Date.now() + 60_000).toISOString(),
        heartbeat_seconds: HEARTBEAT_SECONDS,
      };
      return response.end(JSON.stringify({ ...lease, work: { ...work, archive: archive?.(url) ?? null, examples: null, vocabulary: null } }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env = {
    PATH: process.env['PATH'] ?? '',
    GRAFT_URL: url,
    GRAFT_RUNNER_TOKEN: 'a token of hosts for tests',
    GRAFT_PYTHON: 'python3',
    GRAFT_WORK_DIR: folder,
  };
  const host = spawn(NODE, [path.join(ROOT, 'gpu-trainer/host/main.ts')], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    await then({ host, said });
  } finally {
    host.kill('SIGKILL');
    server.closeAllConnections();
    server.close();
    rmSync(root, { recursive: true, force: true });
  }
}

async function until(said: readonly Said[], verb: string): Promise<Said | undefined> {
  for (let i = 0; i < 500 && !said.some((s) => s.verb === verb); i++) await sleep(20);
  return said.find((s) => s.verb === verb);
}

it('fails the work that it has no folder for, and lets the lease go', async () => {
  const prepare = (folder: string): void => {
    // No folder can be made where a file stands.
    rmSync(folder, { recursive: true });
    writeFileSync(folder, 'in the way');
  };
  await withHost({ prepare }, async ({ host, said }) => {
    expect((await until(said, 'fail'))?.body).toMatchObject({ code: 'host_failed', retryable: true, blame: 'graft' });
    // A heartbeat that was on its way may still come.
    await sleep(10 * HEARTBEAT_SECONDS * 1_000);
    const after = said.length;
    await sleep(20 * HEARTBEAT_SECONDS * 1_000);
    expect(said.slice(after)).toEqual([]);
    host.kill('SIGTERM');
    expect(await Promise.race([once(host, 'exit'), sleep(10_000)])).toBeDefined();
  });
});

it('gives its work back also when Ctrl-C reaches it twice, from the terminal and from what started it', async () => {
  const archive = (url: string) => ({ url: `${url}/d.zip`, bytes: null, sha256: null, filename: 'd.zip' });
  await withHost({ archive, releaseMs: 600 }, async ({ host, said }) => {
    // The archive never comes.
    expect(await until(said, 'd.zip')).toBeDefined();
    const ended = once(host, 'exit');
    host.kill('SIGINT');
    await sleep(300);
    host.kill('SIGINT');
    expect(await ended).toEqual([0, null]);
    expect(said.find(({ verb }) => verb === 'release')?.body).toEqual({ reason: 'shutdown' });
  });
});
