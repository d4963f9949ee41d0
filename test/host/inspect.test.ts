/** The quality report as a host makes it: real pictures through the real decoder and engine, findings named by file; a failure costs no dataset. */
import { mkdir, mkdtemp, readFile, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { inspectFrozen } from '../../gpu-trainer/host/inspect.ts';
import { loadDecoder } from '../../gpu-trainer/host/inputs.ts';
import type { Context } from '../../gpu-trainer/host/train-work.ts';
import { freezeDataset, type Frozen } from '../../gpu-trainer/host/validate/freeze.ts';
import type { SourceRow } from '../../gpu-trainer/host/validate/sources.ts';
import { BackboneManifest, SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import { DatasetIssue } from '../../shared/quality.ts';
import type { ValidateWork } from '../../shared/runner.ts';
import { makePng } from '../setup/png.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const BACKBONE = path.join(ROOT, '.graft/backbones', SHIPPED_BACKBONES.image);
let root = '';
let folder = '';
let manifest: BackboneManifest;
const rows: SourceRow[] = [];

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-inspect-'));
  manifest = BackboneManifest.parse(JSON.parse(await readFile(path.join(BACKBONE, 'manifest.json'), 'utf8')));
  // As if an earlier job had fetched it: what is there under the right digest is not fetched again.
  const kept = path.join(root, 'backbones', `${manifest.id}-${manifest.tail.model.sha256.slice(0, 16)}`);
  await mkdir(kept, { recursive: true });
  for (const name of await readdir(BACKBONE)) if (name !== 'manifest.json') await symlink(path.join(BACKBONE, name), path.join(kept, name));
  for (const label of ['bird', 'building']) {
    const at = path.join(ROOT, 'test/pack/classes', label);
    for (const name of (await readdir(at)).toSorted().slice(0, 6))
      rows.push({ file: `${label}/${name}`, label, split: null, bytes: new Uint8Array(await readFile(path.join(at, name))) });
  }
  rows.push({ file: 'bird/dot.png', label: 'bird', split: null, bytes: makePng(16, 20, (x, y) => [x * 9, y * 9, 60]) });
  rows.push({ file: 'building/white.png', label: 'building', split: null, bytes: makePng(64, 64, () => [255, 255, 255]) });
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(root, 'job-'));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

async function frozen(of: readonly SourceRow[] = rows): Promise<Frozen> {
  return await freezeDataset({
    modality: 'image',
    task: 'single_label',
    // oxlint-disable-next-line typescript/require-await
    rows: async function* () {
      yield* of;
    },
    encode: { decoder: await loadDecoder() },
    folder,
    splitSeed: 7,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
}

/** Only what an inspection touches: it never speaks to the Worker. */
function context(python: string, signal = new AbortController().signal): Context {
  const settings = { GRAFT_PYTHON: python, GRAFT_THREADS: 1, GRAFT_DEVICE: 'cpu', GRAFT_WORK_DIR: root };
  return { keeper: { signal }, folder, settings } as unknown as Context;
}
const work = (): ValidateWork => ({
  kind: 'validate',
  dataset: 'ds_test',
  name: 'd',
  modality: 'image',
  task: 'single_label',
  format: 'imagefolder',
  columns: null,
  split_seed: 7,
  archive: null,
  examples: null,
  examples_of_datasets: 0,
  vocabulary: null,
  backbone: { manifest, files: {} },
});
const PYTHON = path.join(ROOT, '.venv/bin/python');

it('names blank and tiny pictures by file and lists the report among the frozen files', async () => {
  const before = await frozen();
  const after = await inspectFrozen(context(PYTHON), work(), before);
  expect(after.inspection).toMatchObject({ rows: 14, backbone: SHIPPED_BACKBONES.image, class_balance: { smallest: 7, largest: 7 } });
  const text = await readFile(path.join(folder, 'quality.jsonl'), 'utf8');
  const issues = text
    .trim()
    .split('\n')
    .map((line) => DatasetIssue.parse(JSON.parse(line)));
  expect(issues.filter((i) => i.code === 'tiny_picture').map((i) => [i.file, i.detail])).toEqual([['bird/dot.png', 'Its short side has 16 pixels.']]);
  expect(issues.filter((i) => i.code === 'blank_picture').map((i) => i.file)).toEqual(['building/white.png']);
  const counted = Object.entries(Object.groupBy(issues, (i) => i.code)).map(([code, of]) => [code, of.length] as const);
  expect(after.inspection!.summary).toEqual(Object.fromEntries(counted));
  expect(after.manifest!.files.map((f) => f.name)).toEqual(['dataset.safetensors', 'rows.jsonl', 'quality.jsonl']);
  expect(after.manifest!.files[2]!.bytes).toBe(Buffer.byteLength(text));
  expect(after.manifest!.digest).toBe(before.manifest!.digest);
  expect(after.files.at(-1)).toBe(path.join(folder, 'quality.jsonl'));
});

it('names the row that another repeats by its place in the upload, in words too', async () => {
  const twin = { ...rows[2]!, file: 'bird/twin.png', bytes: new Uint8Array([...rows[2]!.bytes, 0]) };
  const damaged = { ...rows[0]!, file: 'bird/aaa.png', bytes: rows[0]!.bytes.slice(0, 100) };
  await inspectFrozen(context(PYTHON), work(), await frozen([damaged, ...rows, twin]));
  const issues = (await readFile(path.join(folder, 'quality.jsonl'), 'utf8')).trim().split('\n');
  const found = issues.map((line) => DatasetIssue.parse(JSON.parse(line))).filter((issue) => issue.with !== null);
  const pair = found.find((issue) => [issue.file, issue.with_file].includes('bird/twin.png'))!;
  expect(new Set([pair.file, pair.with_file])).toEqual(new Set([rows[2]!.file, 'bird/twin.png']));
  expect(pair.detail).toContain(`as ${pair.with_file} (cosine 1.000)`);
});

it('leaves the dataset as it was when the engine fails, when nothing can embed it, and when it is too small', async () => {
  const before = await frozen();
  expect(await inspectFrozen(context('/bin/false'), work(), before)).toEqual({ ...before, inspection: null });
  expect(await inspectFrozen(context(PYTHON), { ...work(), backbone: null }, before)).toEqual({ ...before, inspection: null });
  await rm(folder, { recursive: true });
  await mkdir(folder);
  const few = await frozen([...rows.slice(0, 3), ...rows.slice(6, 9)]);
  expect(await inspectFrozen(context(PYTHON), work(), few)).toEqual({ ...few, inspection: null });
});

it('gives way when the lease is to be given back', async () => {
  const before = await frozen();
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 500);
  await expect(inspectFrozen(context(PYTHON, stop.signal), work(), before)).rejects.toThrow(/abort/i);
});
