/** A host whose disk has no room for a piece of work, or whose scratch space is gone, gives the work back: nobody may wait for one that only says that it is alive. */
import { spawn } from 'node:child_process';
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

it('fails the work that it has no folder for, and lets the lease go', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'graft-work-'));
  const folder = path.join(root, 'work');
  const said: { verb: string; body: unknown }[] = [];
  let given = false;
  const server = createServer((request, response) => {
    void text(request).then(async (body) => {
      const verb = path.basename(request.url ?? '');
      if (verb !== 'lease') {
        said.push({ verb, body: JSON.parse(body) });
        const expires_at = new Date(Date.now() + 60_000).toISOString();
        return verb === 'heartbeat' ? response.end(JSON.stringify({ command: 'continue', expires_at })) : response.writeHead(204).end();
      }
      if (given || !body.includes('validate')) {
        await sleep(200);
        return response.writeHead(204).end();
      }
      given = true;
      // No folder can be made where a file stands.
      rmSync(folder, { recursive: true });
      writeFileSync(folder, 'in the way');
      const work = { kind: 'validate', dataset: 'ds_1', name: 'd', modality: 'image', format: 'imagefolder', columns: null, split_seed: 1 };
      const lease = {
        token: 'tok',
        fence: 1,
        attempt: 1,
        expires_at: new Date(Date.now() + 60_000).toISOString(),
        heartbeat_seconds: HEARTBEAT_SECONDS,
      };
      return response.end(JSON.stringify({ ...lease, work: { ...work, archive: null, examples: null, vocabulary: null } }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const env = {
    PATH: process.env['PATH'] ?? '',
    GRAFT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    GRAFT_RUNNER_TOKEN: 'a token of hosts for tests',
    GRAFT_PYTHON: 'python3',
    GRAFT_WORK_DIR: folder,
  };
  const host = spawn(NODE, [path.join(ROOT, 'gpu-trainer/host/main.ts')], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    for (let i = 0; i < 500 && !said.some(({ verb }) => verb === 'fail'); i++) await sleep(20);
    expect(said.find(({ verb }) => verb === 'fail')?.body).toMatchObject({ code: 'host_failed', retryable: true, blame: 'graft' });
    const after = said.length;
    await sleep(20 * HEARTBEAT_SECONDS * 1_000);
    expect(said.slice(after)).toEqual([]);
    host.kill('SIGTERM');
    expect(await Promise.race([once(host, 'exit'), sleep(10_000)])).toBeDefined();
  } finally {
    host.kill('SIGKILL');
    server.closeAllConnections();
    server.close();
    rmSync(root, { recursive: true, force: true });
  }
});
