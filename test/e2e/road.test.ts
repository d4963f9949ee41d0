/** The demo's road on small data, over the real stack, with each part killed on the way; then a second start over the same folder. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from '../../infra/demo/client.ts';
import { pictures } from '../../infra/demo/pack.ts';
import { listen, type Listener } from '../../infra/demo/training.ts';
import { startStack, type Stack } from '../../infra/stack.ts';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { DatasetQuality } from '../../shared/wire/datasets.ts';
import { EnrollAnswer, Example } from '../../shared/wire/examples.ts';
import { AdviceJob, Job } from '../../shared/wire/jobs.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Prediction } from '../../shared/wire/predictions.ts';
import { NewKey, Tenant } from '../../shared/wire/tenants.ts';
import { pictureZip, runJob, uploadDataset } from '../setup/road.ts';

const LABELS = ['bird', 'building', 'vehicle'];
const PER_CLASS = 14;
const TEST_MS = 300_000;
const dataDir = mkdtempSync(join(tmpdir(), 'graft-e2e-'));
let stack: Stack;
let mine: Client;
let key: string;
let classifier: string;
let dataset: string;
let hook: Listener;

const start = async (): Promise<Stack> => await startStack({ dataDir, onProgress: () => undefined, host: { GRAFT_THREADS: '1' } });
const part = (name: string): Stack['parts'][number] => {
  const found = stack.parts.find((p) => p.name === name);
  if (!found) throw new Error(`no part ${name}`);
  return found;
};
/** Processes that carry the mark of this folder, or name it. */
const marked = (): string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      const read = (file: string): string => readFileSync(`/proc/${pid}/${file}`, 'utf8');
      return read('cmdline').includes(dataDir) || read('environ').includes(`GRAFT_PART_OF=${dataDir}`);
    } catch {
      return false;
    }
  });
const alive = (pid: number | undefined): boolean => pid !== undefined && existsSync(`/proc/${pid}`);

/** SIGKILL, and wait until the part is there again under another pid. */
async function killPart(name: string): Promise<void> {
  const before = part(name).pid();
  part(name).kill('SIGKILL');
  for (let i = 0; i < 300 && (part(name).pid() === before || !alive(part(name).pid())); i++) await sleep(100);
  expect(part(name).pid()).not.toBe(before);
}

/** Repeats what a client may repeat, while a part comes back. */
async function insist<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (tries === 100) throw error;
      await sleep(200);
    }
  }
}

beforeAll(async () => {
  stack = await start();
  const operator = new Client(stack.url, stack.operatorKey);
  const tenant = await operator.send(Tenant, 'POST', '/v1/tenants', { name: 'e2e' });
  const scopes = ['predict', 'enroll', 'train', 'admin'];
  ({ key } = await operator.send(NewKey, 'POST', `/v1/tenants/${tenant.id}/keys`, { name: 'k', scopes }));
  mine = new Client(stack.url, key);
  hook = await listen(mine);
}, TEST_MS);

afterAll(async () => {
  hook?.close();
  await stack?.stop();
  rmSync(dataDir, { recursive: true, force: true });
}, TEST_MS);

test(
  'what was acknowledged before the Worker or object storage is killed is there afterwards',
  async () => {
    ({ id: classifier } = await mine.send(Classifier, 'POST', '/v1/classifiers', { name: 'c', modality: 'image' }));
    const at = `/v1/classifiers/${classifier}`;
    const teach = async (label: string, n: number) =>
      await mine.send(EnrollAnswer, 'POST', `${at}/examples`, { examples: [{ label, image: pictures(label)[n]!.toString('base64') }] });
    const kept: string[] = [];
    for (const label of LABELS) kept.push((await teach(label, 0)).data[0]!.id);
    await killPart('worker');
    const list = async () => await mine.send(listOf(Example, 'Examples'), 'GET', `${at}/examples`);
    expect((await insist(list)).data.map((e) => e.id).toSorted()).toEqual(kept.toSorted());
    await killPart('store');
    for (const label of LABELS) kept.push((await insist(async () => await teach(label, 1))).data[0]!.id);
    expect((await list()).data.length).toBeGreaterThanOrEqual(kept.length);
    const said = await mine.send(Prediction, 'POST', `${at}/predict`, pictures('vehicle')[0]);
    expect(said.scores[0]!.label).toBe('vehicle');
  },
  TEST_MS,
);

test(
  'a job whose host is killed is finished by whoever leases it next, and its webhook is sent',
  async () => {
    const folders = { name: 'd', modality: 'image', format: 'imagefolder' };
    const ready = await uploadDataset(mine, folders, 'd.zip', await pictureZip(LABELS, PER_CLASS));
    expect(ready.status).toBe('ready');
    dataset = ready.id;
    const quality = await mine.send(DatasetQuality, 'GET', `/v1/datasets/${dataset}/quality`);
    expect(quality).toMatchObject({ rows: LABELS.length * PER_CLASS, class_balance: { smallest: PER_CLASS, largest: PER_CLASS } });
    expect(quality.cross_validated_accuracy).toBeGreaterThan(0.6);
    for (const issue of quality.issues) expect(issue.file).toMatch(/^(bird|building|vehicle)\/\d+\.png$/);

    const asked = await mine.send(AdviceJob, 'POST', '/v1/advice', { dataset, seed: 3 });
    let advised = asked;
    for (let i = 0; i < 400 && advised.finished_at === null; i++) {
      await sleep(500);
      advised = await mine.send(AdviceJob, 'GET', `/v1/training/jobs/${asked.id}`);
    }
    expect(advised).toMatchObject({ status: 'succeeded', error: null, result: { what: { backbone: 'efficientnet-lite0' } } });
    expect(advised.result!.learning_curve.length).toBeGreaterThan(3);

    const method = { type: 'auto', epochs: 2, augment_views: 1 };
    const { id } = await mine.send(Job, 'POST', '/v1/training/jobs', { dataset, classifier, method, seed: 3 });
    const job = async () => await insist(async () => await mine.send(Job, 'GET', `/v1/training/jobs/${id}`));
    while ((await job()).status === 'queued') await sleep(200);
    await killPart('host');
    let now = await job();
    for (
      const until = Date.now() + TEST_MS - 40_000;
      !['succeeded', 'failed', 'cancelled'].includes(now.status) && Date.now() < until;
      now = await job()
    )
      await sleep(500);
    expect(now.error).toBeNull();
    expect(now.status).toBe('succeeded');
    expect(now.attempts).toBeGreaterThanOrEqual(2);
    expect(now.result!.reasons.length).toBeGreaterThan(0);
    const files = now.result!.artifacts.map((artifact) => artifact.name);
    expect(files).toEqual(expect.arrayContaining(['head.tfjs.json', 'head.tfjs.bin', 'model-card.md', 'manifest.json']));
    expect(now.result!.evidence['auto']).toMatchObject({ chose: expect.any(String) as unknown, advice_job: asked.id });
    for (let i = 0; i < 120 && hook.verified.length < 2; i++) await sleep(500);
    expect(hook.verified.map((v) => v.type)).toEqual(Array.from({ length: 2 }, () => 'training.job.succeeded'));
    expect(hook.refused).toEqual([]);
  },
  TEST_MS,
);

test(
  'a job that transfers from a classifier learns from its examples and is compared with its version',
  async () => {
    // The same rows learnt beside the classifier's own examples, which are files of the dataset too: those rows judge nothing.
    const from = { dataset, source_classifier: classifier, method: { type: 'linear_probe' }, seed: 3 };
    const transferred = await runJob(mine, from);
    expect(transferred).toMatchObject({ status: 'succeeded', error: null, source_classifier: classifier });
    const { metrics, train_rows: rows, held_out: judged } = transferred.result!;
    expect(metrics.incumbent).not.toBeNull();
    // Every picture once: as a row to learn from, as an example, or to judge by.
    expect(rows + judged.rows).toBe(LABELS.length * PER_CLASS);
  },
  TEST_MS,
);

test(
  'stopping leaves no process behind, and a second start over the folder finds everything',
  async () => {
    const before = await mine.send(Classifier, 'GET', `/v1/classifiers/${classifier}`);
    await stack.stop();
    expect(marked()).toEqual([]);
    stack = await start();
    mine = new Client(stack.url, key);
    expect(await mine.send(Classifier, 'GET', `/v1/classifiers/${classifier}`)).toEqual(before);
    const said = await mine.send(Prediction, 'POST', `/v1/classifiers/${classifier}/predict`, pictures('bird')[0]);
    expect(said.scores.length).toBeGreaterThanOrEqual(LABELS.length);
  },
  TEST_MS,
);
