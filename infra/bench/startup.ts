/** How long until a Worker answers: as a new process, and as a new isolate in a process that runs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Miniflare } from 'miniflare';
import { z } from 'zod';
import { baseEnvironment, exited, logTail, spawnLogged, stopChild } from '../child.ts';
import { NODE, ROOT } from '../paths.ts';
import { freePorts } from '../ports.ts';
import { bundleBenchWorker } from './bare.ts';
import { Client } from './client.ts';
import { packPictures } from './inputs.ts';
import { inTurn, spread, timed, type Spread } from './measure.ts';

export type Startup = {
  /** From spawning Node with miniflare over an empty state folder to the last migration and a 200 of /readyz. */
  readonly spawn_to_ready: Spread;
  /** The first enrollment in that new Worker: both networks are read from object storage and opened. */
  readonly first_picture: Spread;
  /** A new isolate until it has answered /healthz, and the same request to an isolate that runs. */
  readonly new_isolate: Spread;
  readonly running_isolate: Spread;
};

/** What infra/stack.ts writes for infra/worker-process.ts. */
const WorkerFile = z.looseObject({
  port: z.number(),
  script: z.string(),
  wasm: z.array(z.string()),
  persist: z.string(),
  bindings: z.record(z.string(), z.string()),
});
type WorkerFile = z.infer<typeof WorkerFile>;

const GIVE_UP_MS = 60_000;
const POLL_MS = 5;

async function startOnce(config: WorkerFile, folder: string, name: string): Promise<{ ready: number; first: number }> {
  const port = (await freePorts(1))[0]!;
  const file = join(folder, `${name}.json`);
  const logFile = join(folder, `${name}.log`);
  writeFileSync(file, JSON.stringify({ ...config, port, persist: join(folder, name) }), { mode: 0o600 });
  const url = `http://127.0.0.1:${port}`;
  const started = performance.now();
  const child = spawnLogged({
    command: NODE,
    args: [join(ROOT, 'infra/worker-process.ts'), file],
    env: baseEnvironment(),
    cwd: ROOT,
    logFile,
    ipc: true,
  });
  const gone = exited(child).then(() => true);
  // The Worker answers before the last migration is done.
  let migrated = false;
  child.once('message', () => (migrated = true));
  try {
    while (!migrated || (await fetch(`${url}/readyz`).catch(() => null))?.status !== 200) {
      const over = performance.now() - started > GIVE_UP_MS;
      if (over || (await Promise.race([gone, sleep(POLL_MS, false)]))) throw new Error(`The Worker did not start:\n${logTail(logFile)}`);
    }
    const ready = performance.now() - started;
    const client = await Client.forNewTenant(url, config.bindings['GRAFT_OPERATOR_KEY'] ?? '');
    const classifier = await client.createClassifier('image');
    const first = await timed(() => client.enroll(classifier, [{ label: 'bird', image: packPictures('bird')[0]! }]));
    return { ready, first };
  } finally {
    await stopChild(child);
  }
}

async function isolates(config: WorkerFile, folder: string, repeats: number): Promise<{ fresh: Spread; running: Spread }> {
  const { script } = await bundleBenchWorker('isolate-worker.ts', folder);
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    modules: [{ type: 'ESModule', path: script }],
    modulesRoot: folder,
    compatibilityDate: '2026-07-01',
    workerLoaders: { LOADER: {} },
    serviceBindings: { FILES: { disk: { path: dirname(config.script), writable: false } } },
    bindings: { SETTINGS: config.bindings, MODULES: [config.script, ...config.wasm].map((path) => basename(path)) },
  });
  try {
    const { origin } = await miniflare.ready;
    const ask = async (path: string): Promise<void> => {
      const response = await fetch(origin + path);
      const text = await response.text();
      if (!response.ok) throw new Error(`the isolate answered ${response.status}: ${text.slice(0, 500)}`);
    };
    await ask('/');
    await ask('/running');
    const { fresh, running } = await inTurn({ fresh: (n) => ask(`/fresh${n}`), running: () => ask('/running') }, { repeats, warmups: 1 });
    return { fresh, running };
  } finally {
    await miniflare.dispose();
  }
}

/** @param dataDir the folder of a stack that runs: its object store and its bundle are used, its Worker is left alone */
export async function measureStartup(dataDir: string, folder: string, repeats: number): Promise<Startup> {
  const config = WorkerFile.parse(JSON.parse(readFileSync(join(dataDir, 'worker.json'), 'utf8')));
  const { fresh, running } = await isolates(config, join(folder, 'isolate'), repeats * 4);
  const ready: number[] = [];
  const first: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const one = await startOnce(config, folder, `start${i}`);
    ready.push(one.ready);
    first.push(one.first);
  }
  return { spawn_to_ready: spread(ready), first_picture: spread(first), new_isolate: fresh, running_isolate: running };
}
