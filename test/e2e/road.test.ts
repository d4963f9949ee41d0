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
import { Dataset, DatasetQuality } from '../../shared/wire/datasets.ts';
import { EnrollAnswer, Example } from '../../shared/wire/examples.ts';
import { AdviceJob, Job, JobEvent } from '../../shared/wire/jobs.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Prediction, PredictionList } from '../../shared/wire/predictions.ts';
import { NewKey, Tenant } from '../../shared/wire/tenants.ts';
import { pictureZip, runJob, uploadDataset } from '../setup/road.ts';
import { TOPICS } from '../setup/topics.ts';

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
    // Every picture once, though the classifier was enrolled with some of them.
    expect(now.result!.train_rows + now.result!.held_out.rows).toBe(LABELS.length * PER_CLASS);
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
  'a classifier is trained on its own examples, and what it serves is judged as if it had never seen those that judge',
  async () => {
    const { id: own } = await mine.send(Classifier, 'POST', '/v1/classifiers', { name: 'own', modality: 'image' });
    for (const label of LABELS) {
      const examples = pictures(label)
        .slice(0, PER_CLASS)
        .map((image) => ({ label, image: image.toString('base64') }));
      await mine.send(EnrollAnswer, 'POST', `/v1/classifiers/${own}/examples`, { examples });
    }
    let made = await mine.send(Dataset, 'POST', '/v1/datasets', { name: 'own', from_classifier: own });
    for (; made.status === 'validating'; made = await mine.send(Dataset, 'GET', `/v1/datasets/${made.id}`)) await sleep(300);
    expect(made).toMatchObject({ status: 'ready', rows: LABELS.length * PER_CLASS });
    const job = await runJob(mine, { dataset: made.id, classifier: own, method: { type: 'linear_probe' }, seed: 3 });
    expect(job).toMatchObject({ status: 'succeeded', error: null });
    const { metrics, train_rows: rows, held_out: judged } = job.result!;
    expect(rows + judged.rows).toBe(LABELS.length * PER_CLASS);
    expect(metrics.incumbent).not.toBeNull();
    const { data } = await mine.send(listOf(JobEvent, 'TrainingJobEventList'), 'GET', `/v1/training/jobs/${job.id}/events?limit=100`);
    expect(JSON.stringify(data)).toContain(`${judged.rows} held-out rows are examples of the version being served`);
  },
  TEST_MS,
);

/** Notes about one or two kinds of things, or about tools, which have none of the labels; every other one judges. */
function taggedNotes() {
  const kinds = Object.keys(TOPICS) as (keyof typeof TOPICS)[];
  const about = (what: string, labels: string[], i: number) => ({ text: `A note about ${what}.`, labels, split: i % 2 === 0 ? 'train' : 'test' });
  const single = kinds.flatMap((kind) => TOPICS[kind].map((what, i) => about(what, [kind], i)));
  const pairs = kinds.flatMap((kind, k) => {
    const other = kinds[(k + 1) % kinds.length]!;
    return TOPICS[kind].map((what, i) => about(`${what} and ${TOPICS[other][(i + 5) % TOPICS[other].length]}`, [kind, other], i));
  });
  const tools = 'a hammer,a saw,pliers,a drill,a wrench,nails,a screwdriver,a chisel,a file,a vice,sandpaper,a spanner,a mallet,an axe'.split(',');
  return [...single, ...pairs, ...tools.map((what, i) => about(what, [], i))];
}

test(
  'rows of several labels go the same road: uploaded, trained, judged, promoted, asked, and taught on',
  async () => {
    const labels = Object.keys(TOPICS).map((name) => ({ name }));
    const notes = { name: 'notes', modality: 'text', task: 'multi_label', unknown: null };
    const { id } = await mine.send(Classifier, 'POST', '/v1/classifiers', { ...notes, labels });
    const teach = async (examples: object[]) => await mine.send(EnrollAnswer, 'POST', `/v1/classifiers/${id}/examples`, { examples });
    await teach([
      { labels: ['food'], text: 'Lunch was fine today.' },
      { labels: ['weather'], text: 'It is warm outside.' },
      { labels: ['sport', 'weather'], text: 'The match was called off, too wet.' },
    ]);
    const rows = taggedNotes();
    const bytes = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const tagged = await uploadDataset(mine, { name: 'tagged', modality: 'text', task: 'multi_label', format: 'jsonl' }, 'notes.jsonl', bytes);
    expect(tagged).toMatchObject({ status: 'ready', task: 'multi_label', rows: rows.length, unlabelled: 0, error_count: 0 });
    const quality = await mine.send(DatasetQuality, 'GET', `/v1/datasets/${tagged.id}/quality`);
    // Each thing once alone and twice in a pair.
    expect(quality).toMatchObject({ rows: rows.length, class_balance: { smallest: 42, largest: 42 } });
    expect(quality.cross_validated_accuracy).toBeGreaterThan(0.6);
    const job = await runJob(mine, { dataset: tagged.id, classifier: id, method: { type: 'linear_probe' }, seed: 3 });
    expect(job).toMatchObject({ status: 'succeeded', error: null, result: { decision: 'promoted' } });
    expect(job.result!.reasons.map((reason) => reason.detail).join(' ')).toContain('exact match');
    // All training rows, and what was enrolled.
    expect(job.result!.train_rows).toBe(rows.filter((row) => row.split === 'train').length + 3);

    // Every other one: each is a run of the network.
    const judged = rows.filter((row) => row.split === 'test').filter((_, i) => i % 2 === 0);
    /** How many notes are answered with all their labels and no other: of those with none, with one, with two. */
    const rightAt = async (version: number): Promise<number[]> => {
      const json = { inputs: judged.map(({ text }) => ({ text })), min_version: version };
      const { data } = await mine.send(PredictionList, 'POST', `/v1/classifiers/${id}/predict`, json);
      expect(new Set(data.map((said) => said.version))).toEqual(new Set([version]));
      const right = data.flatMap(({ labels: said = [] }, i) => {
        const own = judged[i]!.labels;
        return said.length === own.length && own.every((label) => said.includes(label)) ? [own.length] : [];
      });
      return [0, 1, 2].map((count) => right.filter((of) => of === count).length);
    };
    const [none = 0, one = 0, two = 0] = await rightAt(job.result!.version!);
    // Of 4 about tools, 11 about one kind and 10 about two.
    expect([none > 2, one > 8, two > 7], `${none}, ${one}, ${two}`).toEqual([true, true, true]);
    // Solved from the rows that it was trained on, those of no label too, and one more.
    const { version } = await teach([{ labels: ['sport'], text: 'A note about darts.' }]);
    expect(version).toBe(job.result!.version! + 1);
    const after = await rightAt(version);
    expect([after[0]! > 1, after[1]! > 7, after[2]! > 6], after.join()).toEqual([true, true, true]);
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
