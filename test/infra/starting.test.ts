/** How the commands start and end: one start at a time over a folder, and no script that outlives the npm that was told to stop. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { claimFolder } from '../../infra/folder-claim.ts';
import { NODE, ROOT } from '../../infra/paths.ts';
import { startStack } from '../../infra/stack.ts';

let dir: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-start-'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !what(); i++) await sleep(100);
  expect(what()).toBe(true);
}

/** Another process that claims the folder and stays. */
async function claimedElsewhere(): Promise<ChildProcess> {
  const code = `const { claimFolder } = await import('${join(ROOT, 'infra/folder-claim.ts')}'); await claimFolder('${dir}'); setInterval(() => {}, 1000);`;
  const child = spawn(NODE, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', code], { stdio: 'ignore' });
  children.push(child);
  await until(() => existsSync(join(dir, 'running.json')));
  return child;
}

describe('a start', () => {
  it('over a folder that another start works on is refused and says by whom; over that of a dead one it goes on', async () => {
    const other = await claimedElsewhere();
    await sleep(200);
    await expect(claimFolder(dir, 300)).rejects.toThrow(`${dir} is in use by another start (process ${other.pid})`);
    // It waits for one that is ending.
    setTimeout(() => other.kill('SIGKILL'), 300);
    const release = await claimFolder(dir, 10_000);
    release();
    expect(existsSync(join(dir, 'running.json'))).toBe(false);
  });

  it('takes the folder of a dead process whose number another one has got', async () => {
    writeFileSync(join(dir, 'running.json'), JSON.stringify({ pid: process.ppid, started: '1' }));
    await claimFolder(dir, 0);
    expect(JSON.parse(readFileSync(join(dir, 'running.json'), 'utf8'))).toMatchObject({ pid: process.pid });
  });

  it('on a port that is taken says so before it starts anything, and leaves the folder free', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
    await expect(startStack({ dataDir: dir, port, onProgress: () => undefined })).rejects.toThrow(`Port ${port} is taken`);
    expect(existsSync(join(dir, 'running.json'))).toBe(false);
    server.close();
  });

  it('by npm ends when npm was told to stop, although its shell passes no signal on', async () => {
    const script = join(dir, 'script.mjs');
    const marks = join(dir, 'marks');
    writeFileSync(
      script,
      `import { appendFileSync } from 'node:fs';
       process.on('SIGTERM', () => { appendFileSync('${marks}', 'stopped'); process.exit(0); });
       appendFileSync('${marks}', 'started '); setInterval(() => {}, 1000);`,
    );
    const shell = spawn('sh', ['-c', `"${NODE}" infra/run.mjs "${relative(ROOT, script)}"; exit $?`], {
      cwd: ROOT,
      stdio: 'ignore',
      env: { ...process.env, npm_lifecycle_event: 'dev' },
    });
    children.push(shell);
    await until(() => existsSync(marks));
    shell.kill('SIGTERM');
    await until(() => readFileSync(marks, 'utf8') === 'started stopped');
  });

  it('ends with everything it started on Ctrl-C, which a terminal sends to all of its processes, and each of them passes on', async () => {
    let said = '';
    // A group of its own, as a terminal has one in the foreground.
    const child = spawn(NODE, ['infra/run.mjs', 'infra/dev.ts', '--data', dir, '--json'], { cwd: ROOT, detached: true });
    children.push(child);
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    for (let i = 0; i < 1_200 && !said.includes('"ready":true'); i++) await sleep(100);
    expect(said).toContain('"ready":true');
    const store = Number(readFileSync(join(dir, 'store', 'weed.pid'), 'utf8'));
    const there = () => existsSync(`/proc/${store}`);
    expect(there()).toBe(true);
    process.kill(-child.pid!, 'SIGINT');
    // npm got it too and passes it on, when the parts are being ended already.
    await until(() => said.includes('Stopping'));
    child.kill('SIGINT');
    const code = await ended;
    const left = there();
    if (left) process.kill(store, 'SIGTERM');
    expect([code, left]).toEqual([0, false]);
  }, 180_000);
});
