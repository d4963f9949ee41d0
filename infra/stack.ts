/** The whole of Graft on one machine: object storage, the Worker and a trainer host as separate processes that can be killed and come back. */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { baseEnvironment, endMarked, exited, logTail, PART_OF, signalGroup, spawnLogged, stopChild } from './child.ts';
import { claimFolder } from './folder-claim.ts';
import { startObjectStore, type ObjectStore } from './object-store.ts';
import { NODE, PYTHON, ROOT } from './paths.ts';
import { freePorts, isFree } from './ports.ts';
import { publishBackbones } from './publish-backbones.ts';
import { bundleWorker } from './worker-bundle.ts';

export type Part = { readonly name: string; readonly pid: () => number | undefined; kill(signal: NodeJS.Signals): void };
export type Stack = {
  readonly url: string;
  readonly operatorKey: string;
  readonly runnerToken: string;
  readonly parts: readonly Part[];
  stop(): Promise<void>;
};
export type StackOptions = {
  readonly dataDir: string;
  readonly port?: number;
  readonly onProgress: (text: string) => void;
  /** Further settings of the trainer host. */
  readonly host?: Readonly<Record<string, string>>;
};

const Secrets = z.object({ operatorKey: z.string(), runnerToken: z.string(), secretKey: z.string() });
const READY_MS = 60_000;
const RESTART_MS = 500;

function loadSecrets(dir: string): z.infer<typeof Secrets> {
  const file = join(dir, 'secrets.json');
  if (existsSync(file)) return Secrets.parse(JSON.parse(readFileSync(file, 'utf8')));
  const made = {
    operatorKey: `graft_op_${randomBytes(24).toString('base64url')}`,
    runnerToken: `graft_run_${randomBytes(24).toString('base64url')}`,
    secretKey: randomBytes(32).toString('base64'),
  };
  writeFileSync(file, JSON.stringify(made), { mode: 0o600 });
  return made;
}

/** A child that is started again when it dies, until it is stopped. */
class Supervised implements Part {
  readonly name: string;
  readonly #start: () => Promise<ChildProcess>;
  #child: ChildProcess | undefined;
  #stopped = false;
  constructor(name: string, start: () => Promise<ChildProcess>) {
    this.name = name;
    this.#start = start;
  }
  async start(): Promise<void> {
    this.#child = await this.#start();
    void this.#watch(this.#child);
  }
  async #watch(child: ChildProcess): Promise<void> {
    await exited(child);
    // What it had started itself (workerd, an engine) would otherwise hold its port and its files.
    signalGroup(child, 'SIGKILL');
    while (!this.#stopped) {
      await sleep(RESTART_MS);
      if (this.#stopped) return;
      try {
        await this.start();
        return;
      } catch {
        // The log says why; try again.
      }
    }
  }
  readonly pid = (): number | undefined => this.#child?.pid;
  kill(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#child) await stopChild(this.#child, 25_000);
  }
}

/** Starts every part and resolves when all answer. A second start over the same folder finds everything it had. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const dir = resolve(options.dataDir);
  const release = await claimFolder(dir);
  try {
    return await startParts(dir, options, release);
  } catch (error) {
    release();
    throw error;
  }
}

async function startParts(dir: string, options: StackOptions, release: () => void): Promise<Stack> {
  // Parts that outlived a killed start over this folder: two Workers over one database would tear it.
  await endMarked(dir);
  if (options.port !== undefined && !(await isFree(options.port))) throw new Error(`Port ${options.port} is taken by another process.`);
  const secrets = loadSecrets(dir);
  const log = (name: string): string => join(dir, 'logs', `${name}.log`);
  options.onProgress('Starting object storage');
  let store: ObjectStore = await startObjectStore({ dir: join(dir, 'store') });
  await publishBackbones(store);
  options.onProgress('Bundling the Worker');
  const bundle = await bundleWorker(join(dir, 'worker'));
  const port = options.port ?? (await freePorts(1))[0]!;
  const url = `http://127.0.0.1:${port}`;
  const bindings = {
    GRAFT_OPERATOR_KEY: secrets.operatorKey,
    GRAFT_RUNNER_TOKEN: secrets.runnerToken,
    GRAFT_SECRET_KEY: secrets.secretKey,
    GRAFT_S3_ENDPOINT: store.endpoint,
    GRAFT_S3_BUCKET: store.bucket,
    GRAFT_S3_REGION: store.region,
    GRAFT_S3_ACCESS_KEY_ID: store.accessKeyId,
    GRAFT_S3_SECRET_ACCESS_KEY: store.secretAccessKey,
    GRAFT_ALLOW_LOOPBACK_WEBHOOKS: '1',
  };
  const config = join(dir, 'worker.json');
  writeFileSync(config, JSON.stringify({ port, script: bundle.script, wasm: bundle.wasm, persist: join(dir, 'state'), bindings }), { mode: 0o600 });
  const env = { ...baseEnvironment(), [PART_OF]: dir };
  const worker = new Supervised('worker', async () => {
    const child = spawnLogged({
      command: NODE,
      args: [join(ROOT, 'infra/worker-process.ts'), config],
      env,
      cwd: ROOT,
      logFile: log('worker'),
      ipc: true,
    });
    await whenReady(child, log('worker'));
    return child;
  });
  const host = new Supervised('host', async () =>
    spawnLogged({
      command: NODE,
      args: [join(ROOT, 'gpu-trainer/host/main.ts')],
      env: {
        ...env,
        GRAFT_URL: url,
        GRAFT_RUNNER_TOKEN: secrets.runnerToken,
        GRAFT_PYTHON: PYTHON,
        GRAFT_WORK_DIR: join(dir, 'host'),
        GRAFT_THREADS: '2',
        ...options.host,
      },
      cwd: ROOT,
      logFile: log('host'),
    }),
  );
  let stopping = false;
  const watchStore = async (): Promise<void> => {
    for (;;) {
      await exited(store.child);
      if (stopping) return;
      store = await startObjectStore({ dir: join(dir, 'store') });
    }
  };
  void watchStore().catch((error: unknown) => options.onProgress(`object storage did not come back: ${String(error)}`));
  const stop = async (): Promise<void> => {
    stopping = true;
    await host.stop();
    await worker.stop();
    await store.stop();
    release();
  };
  try {
    options.onProgress('Starting the Worker');
    await worker.start();
    options.onProgress('Starting a trainer host');
    await host.start();
    await answers(`${url}/readyz`);
  } catch (error) {
    await stop();
    throw error;
  }
  const storePart: Part = { name: 'store', pid: () => store.pid, kill: (signal) => void store.child.kill(signal) };
  return { url, operatorKey: secrets.operatorKey, runnerToken: secrets.runnerToken, parts: [storePart, worker, host], stop };
}

async function whenReady(child: ChildProcess, logFile: string): Promise<void> {
  const ready = new Promise<boolean>((done) => {
    child.once('message', () => done(true));
    child.once('exit', () => done(false));
    setTimeout(() => done(false), READY_MS).unref();
  });
  if (await ready) return;
  child.kill('SIGKILL');
  throw new Error(`The Worker did not start:\n${logTail(logFile)}`);
}

async function answers(url: string): Promise<void> {
  const until = Date.now() + READY_MS;
  for (;;) {
    const status = await fetch(url).then(
      (r) => r.status,
      () => 0,
    );
    if (status === 200) return;
    if (Date.now() > until) throw new Error(`${url} answers ${status}, not 200`);
    await sleep(200);
  }
}
