/** Two hosts over the real stack: one is told that its machine is taken back, the other goes on from its checkpoint at once. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { baseEnvironment, PART_OF, spawnLogged, stopChild } from '../../infra/child.ts';
import { Client } from '../../infra/demo/client.ts';
import { NODE, PYTHON, ROOT } from '../../infra/paths.ts';
import { startStack, type Stack } from '../../infra/stack.ts';
import { LEASE_TTL_SECONDS } from '../../shared/limits.ts';
import { Checkpoint, Job, JobEvent } from '../../shared/wire/jobs.ts';
import { listOf } from '../../shared/wire/page.ts';
import { NewKey, Tenant } from '../../shared/wire/tenants.ts';
import { pictureZip, uploadDataset } from '../setup/road.ts';

const LABELS = ['bird', 'building', 'vehicle'];
const PER_CLASS = 8;
const EPOCHS = 150;
// Progress counts over all stages: two halves and the final network.
const EPOCHS_IN_ALL = 3 * EPOCHS;
const TEST_MS = 420_000;
const dataDir = mkdtempSync(join(tmpdir(), 'graft-preemption-'));
const notice = join(dataDir, 'notice');
let stack: Stack;
let mine: Client;
let second: ChildProcess | undefined;

beforeAll(async () => {
  const host = { GRAFT_PREEMPTION_FILE: notice, GRAFT_HOST_NAME: 'spot', GRAFT_THREADS: '1' };
  stack = await startStack({ dataDir, onProgress: () => undefined, host });
  const operator = new Client(stack.url, stack.operatorKey);
  const tenant = await operator.send(Tenant, 'POST', '/v1/tenants', { name: 'preemption' });
  const scopes = ['predict', 'enroll', 'train', 'admin'];
  const { key } = await operator.send(NewKey, 'POST', `/v1/tenants/${tenant.id}/keys`, { name: 'k', scopes });
  mine = new Client(stack.url, key);
}, TEST_MS);

afterAll(async () => {
  if (second) await stopChild(second, 25_000);
  await stack?.stop();
  rmSync(dataDir, { recursive: true, force: true });
}, TEST_MS);

async function wholeLog(job: string): Promise<JobEvent[]> {
  const log: JobEvent[] = [];
  for (let cursor = ''; ;) {
    const page = await mine.send(listOf(JobEvent, 'Events'), 'GET', `/v1/training/jobs/${job}/events?limit=100${cursor}`);
    log.push(...page.data);
    if (!page.has_more) return log;
    cursor = `&cursor=${page.next_cursor}`;
  }
}

test(
  'a host that is taken back hands its job on at once, with a checkpoint that the next one goes on from',
  async () => {
    const folders = { name: 'd', modality: 'image', format: 'imagefolder' };
    const { id: dataset, status } = await uploadDataset(mine, folders, 'd.zip', await pictureZip(LABELS, PER_CLASS));
    expect(status).toBe('ready');
    const method = { type: 'fine_tune', epochs: EPOCHS, augment_views: 1 };
    const { id } = await mine.send(Job, 'POST', '/v1/training/jobs', { dataset, method, seed: 3 });
    const job = async () => await mine.send(Job, 'GET', `/v1/training/jobs/${id}`);
    let now = await job();
    // Under way in its first stage.
    for (; (now.progress?.epochs ?? 0) !== EPOCHS_IN_ALL || now.progress!.epoch < 5; now = await job()) await sleep(200);
    expect(now.status).toBe('running');

    const work = join(dataDir, 'second');
    mkdirSync(work);
    second = spawnLogged({
      command: NODE,
      args: [join(ROOT, 'gpu-trainer/host/main.ts')],
      env: {
        ...baseEnvironment(),
        [PART_OF]: dataDir,
        GRAFT_URL: stack.url,
        GRAFT_RUNNER_TOKEN: stack.runnerToken,
        GRAFT_PYTHON: PYTHON,
        GRAFT_WORK_DIR: work,
        GRAFT_THREADS: '1',
        GRAFT_HOST_NAME: 'second',
      },
      cwd: ROOT,
      logFile: join(dataDir, 'logs', 'second.log'),
    });
    await sleep(1_000);
    writeFileSync(notice, '');
    const noticed = Date.now();
    while (!readFileSync(join(dataDir, 'logs', 'second.log'), 'utf8').includes(`training ${id}`)) await sleep(100);
    // A lease that has to expire would take its whole time.
    expect(Date.now() - noticed).toBeLessThan((LEASE_TTL_SECONDS / 2) * 1_000);

    const checkpoints = await mine.send(listOf(Checkpoint, 'Checkpoints'), 'GET', `/v1/training/jobs/${id}/checkpoints`);
    expect(checkpoints.data.length).toBeGreaterThan(0);
    for (; !['succeeded', 'failed', 'cancelled'].includes(now.status); now = await job()) await sleep(500);
    expect(now.error).toBeNull();
    expect(now.status).toBe('succeeded');
    // Giving back is no failed attempt.
    expect(now.attempts).toBe(1);
    const log = await wholeLog(id);
    const told = log.findIndex((e) => e.type === 'log' && String(e.data['message']).includes('"spot" is being taken back'));
    expect(told).toBeGreaterThan(-1);
    const after = log.slice(told);
    expect(after.filter((e) => e.type === 'status').map((e) => e.data['status'])).toEqual(['queued', 'validating', 'running', 'succeeded']);
    // The second host went on: the first epoch that it tells of is not the first of the training.
    expect(after.find((e) => e.type === 'progress' && e.data['epochs'] === EPOCHS_IN_ALL)?.data['epoch']).toBeGreaterThan(4);
    // And the first one stays away as long as the notice stands.
    expect(readFileSync(join(dataDir, 'logs', 'host.log'), 'utf8')).toContain('nothing is leased');
  },
  TEST_MS,
);
