/** A trainer host: leases work, keeps the lease alive, does it, reports. Killed at any moment, its work passes to whoever leases next. */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lease } from '../../shared/runner.ts';
import { adviseOnTransfer } from './advise-work.ts';
import { failureOf } from './failure.ts';
import { removeHalves } from './job-backbone.ts';
import { LeaseKeeper, PREEMPTED } from './lease-keeper.ts';
import { mayBePreempted, preempted, untilPreempted } from './preemption.ts';
import { HostSettings } from './settings.ts';
import { trainModel, type Context } from './train-work.ts';
import { validateDataset } from './validate-work.ts';
import { makeWorkerApi, StaleLease, type WorkerApi } from './worker-api.ts';

const WAIT_SECONDS = 20;
const IDLE_RETRY_MS = 1_000;

const log = (message: string): void => {
  process.stderr.write(`${new Date().toISOString()} ${message}\n`);
};

async function work(api: WorkerApi, lease: Lease, settings: HostSettings, shutdown: AbortSignal): Promise<void> {
  const keeper = new LeaseKeeper(api, lease, shutdown);
  const what = lease.work.kind === 'train' ? `training ${lease.work.job}` : `validation of ${lease.work.dataset}`;
  log(`${what}: attempt ${lease.attempt}`);
  let folder: string | undefined;
  try {
    // In here: where no folder can be made, the lease must go back, and its heartbeats end.
    folder = await mkdtemp(path.join(settings.GRAFT_WORK_DIR, 'job-'));
    const context: Context = { api, lease, keeper, folder, settings };
    if (lease.work.kind === 'validate') await validateDataset(context, lease.work);
    else if (lease.work.action === 'advise') await adviseOnTransfer(context, lease.work);
    else await trainModel(context, lease.work);
    log(`${what}: reported`);
  } catch (error) {
    await giveUp({ api, lease, keeper, settings }, error, what);
  } finally {
    keeper.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

async function giveUp(c: Omit<Context, 'folder'>, error: unknown, what: string): Promise<void> {
  const { api, lease, keeper, settings } = c;
  const detail = error instanceof Error ? error.message : String(error);
  log(`${what}: ${keeper.reason ?? 'failed'}: ${detail}`);
  if (error instanceof StaleLease || keeper.reason === 'stale') return; // somebody else has it: not a word more
  try {
    if (keeper.reason === 'preempted') {
      const message = `The machine of host "${settings.GRAFT_HOST_NAME}" is being taken back; the next host goes on from the last checkpoint.`;
      if (lease.work.kind === 'train') await api.events(lease.token, [{ type: 'log', level: 'warning', message }]);
      await api.release(lease.token, 'shutdown');
    } else if (keeper.reason) await api.release(lease.token, keeper.reason);
    else await api.fail(lease.token, failureOf(error));
  } catch (second) {
    log(`${what}: could not give the lease back (it will expire): ${second instanceof Error ? second.message : String(second)}`);
  }
}

/** One slot: one kind of work at a time, until shutdown. */
async function slot(kind: 'validate' | 'train', api: WorkerApi, settings: HostSettings, shutdown: AbortSignal): Promise<void> {
  const device = settings.GRAFT_DEVICE === 'cuda' ? 'cuda' : 'cpu';
  const ask = api.leasing();
  while (!shutdown.aborted) {
    try {
      const lease = await ask({ host: settings.GRAFT_HOST_NAME, capacity: { kinds: [kind], device }, wait_seconds: WAIT_SECONDS }, shutdown);
      if (lease) await work(api, lease, settings, shutdown);
    } catch (error) {
      if (shutdown.aborted) return;
      log(`no lease: ${error instanceof Error ? error.message : String(error)}`);
      await sleep(IDLE_RETRY_MS * (0.5 + Math.random()), undefined, { signal: shutdown }).catch(() => undefined);
    }
  }
}

async function main(): Promise<void> {
  const settings = HostSettings.parse(process.env);
  await mkdir(settings.GRAFT_WORK_DIR, { recursive: true });
  // What a killed host left behind.
  for (const name of await readdir(settings.GRAFT_WORK_DIR))
    if (name.startsWith('job-')) await rm(path.join(settings.GRAFT_WORK_DIR, name), { recursive: true, force: true });
  await removeHalves(settings.GRAFT_WORK_DIR);
  const shutdown = new AbortController();
  // Ctrl-C may come twice, from the terminal and from what started this: a second signal without a listener would end it before its work is given back.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => shutdown.abort());
  const api = makeWorkerApi(settings.GRAFT_URL, settings.GRAFT_RUNNER_TOKEN);
  while (!shutdown.signal.aborted) await serve(api, settings, shutdown.signal);
}

/** Works until the process is to end or its machine to be taken back; after a notice it leases nothing as long as the notice stands. */
async function serve(api: WorkerApi, settings: HostSettings, shutdown: AbortSignal): Promise<void> {
  const none = (): undefined => undefined;
  if (await preempted(settings)) log('this machine is being taken back: nothing is leased');
  await untilPreempted(settings, false, shutdown).catch(none);
  if (shutdown.aborted) return;
  log(`host ${settings.GRAFT_HOST_NAME} serves ${settings.GRAFT_URL}`);
  const taken = new AbortController();
  const done = new AbortController();
  const watching = mayBePreempted(settings)
    ? untilPreempted(settings, true, AbortSignal.any([shutdown, done.signal])).then(() => taken.abort(PREEMPTED), none)
    : Promise.resolve();
  const stop = AbortSignal.any([shutdown, taken.signal]);
  await Promise.all([slot('validate', api, settings, stop), slot('train', api, settings, stop)]);
  done.abort();
  await watching;
}

await main();
