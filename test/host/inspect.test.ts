/** The quality report as a host makes it: real pictures through the real decoder and engine, findings named by file; a failure costs no dataset. */
import { mkdir, mkdtemp, readFile, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { inspectFrozen } from '../../gpu-trainer/host/inspect.ts';
import { loadDecoder, loadTokenizer } from '../../gpu-trainer/host/inputs.ts';
import type { Context } from '../../gpu-trainer/host/train-work.ts';
import { freezeDataset, type Frozen } from '../../gpu-trainer/host/validate/freeze.ts';
import type { SourceRow } from '../../gpu-trainer/host/validate/sources.ts';
import { BackboneManifest, SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import { DatasetIssue } from '../../shared/quality.ts';
import type { ValidateWork } from '../../shared/runner.ts';
import { makePng } from '../setup/png.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const folderOf = (modality: 'image' | 'text'): string => path.join(ROOT, '.graft/backbones', SHIPPED_BACKBONES[modality]);
let root = '';
let folder = '';
let manifest: BackboneManifest;
const rows: SourceRow[] = [];

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-inspect-'));
  manifest = await fetched('image');
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

/** As if an earlier job had fetched it: what is there under the right digest is not fetched again. */
async function fetched(modality: 'image' | 'text'): Promise<BackboneManifest> {
  const from = folderOf(modality);
  const of = BackboneManifest.parse(JSON.parse(await readFile(path.join(from, 'manifest.json'), 'utf8')));
  const kept = path.join(root, 'backbones', `${of.id}-${of.tail.model.sha256.slice(0, 16)}`);
  await mkdir(kept, { recursive: true });
  for (const name of await readdir(from)) if (name !== 'manifest.json') await symlink(path.join(from, name), path.join(kept, name));
  return of;
}

async function frozen(of: readonly SourceRow[] = rows, modality: 'image' | 'text' = 'image'): Promise<Frozen> {
  return await freezeDataset({
    modality,
    task: 'single_label',
    // oxlint-disable-next-line typescript/require-await
    rows: async function* () {
      yield* of;
    },
    encode: modality === 'image' ? { decoder: await loadDecoder() } : { tokenizer: await loadTokenizer(path.join(folderOf('text'), 'vocab.txt')) },
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
  const counted = [...Map.groupBy(issues, (i) => i.code)].map(([code, of]) => [code, of.length] as const);
  expect(after.inspection!.summary).toEqual(Object.fromEntries(counted));
  expect(after.manifest!.files.map((f) => f.name)).toEqual(['dataset.safetensors', 'rows.jsonl', 'quality.jsonl']);
  expect(after.manifest!.files[2]!.bytes).toBe(Buffer.byteLength(text));
  expect(after.manifest!.digest).toBe(before.manifest!.digest);
  expect(after.files.at(-1)).toBe(path.join(folder, 'quality.jsonl'));
});

const findings = async (): Promise<DatasetIssue[]> =>
  (await readFile(path.join(folder, 'quality.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => DatasetIssue.parse(JSON.parse(line)));

it('calls a picture of a set of digits tiny only where the others are much larger', async () => {
  const digits = Array.from({ length: 12 }, (_, i): SourceRow => {
    const side = i === 7 ? 12 : 28;
    return { file: `${i % 2}/${i}.png`, label: String(i % 2), split: null, bytes: makePng(side, side, (x, y) => [x * i, y * 9, i * 20]) };
  });
  await inspectFrozen(context(PYTHON), work(), await frozen(digits));
  expect((await findings()).filter((i) => i.code === 'tiny_picture').map((i) => i.file)).toEqual(['1/7.png']);
});

it('names texts that lost characters before they came, in the order of the report', async () => {
  const said = [
    'The lamp came broken.',
    'Where is my parcel now?',
    'I want my money back.',
    'na\uFFFDve caf\uFFFD',
    'U\0T\0F\0-\x001\x006\0 of a test\0',
  ];
  const texts = [...said, ...said.map((text) => `${text} Please answer.`)].map((text, i): SourceRow => ({
    file: 'mails.jsonl',
    line: i + 1,
    label: 'ab'[i % 2]!,
    split: null,
    bytes: new TextEncoder().encode(text),
  }));
  const of: ValidateWork = { ...work(), modality: 'text', backbone: { manifest: await fetched('text'), files: {} } };
  const after = await inspectFrozen(context(PYTHON), of, await frozen(texts, 'text'));
  const issues = await findings();
  const lost = issues.filter((i) => i.code === 'encoding');
  expect(new Map(lost.map((i) => [i.line, Number.parseInt(i.detail, 10)]))).toEqual(
    new Map([
      [4, 2],
      [5, 7],
      [9, 2],
      [10, 7],
    ]),
  );
  expect(after.inspection!.summary).toMatchObject({ encoding: 4 });
  expect(issues.map((i) => i.code)).toEqual(issues.map((i) => i.code).toSorted());
});

it('names the row that another repeats by its place in the upload, in words too', async () => {
  const twin = { ...rows[2]!, file: 'bird/twin.png', bytes: new Uint8Array([...rows[2]!.bytes, 0]) };
  const damaged = { ...rows[0]!, file: 'bird/aaa.png', bytes: rows[0]!.bytes.slice(0, 100) };
  const copy = { ...rows[3]!, file: 'bird/zzz.png' };
  const after = await inspectFrozen(context(PYTHON), work(), await frozen([damaged, ...rows, twin, copy]));
  const issues = await findings();
  // Last, and not among what the engine saw: what was left out before, in the order of the upload.
  expect(issues.slice(-2).map(({ code, row, file, with: other }) => [code, row, file, other])).toEqual([
    ['picture_truncated', null, 'bird/aaa.png', null],
    ['duplicate', null, 'bird/zzz.png', null],
  ]);
  expect(issues.at(-1)!.detail).toContain(`The same content as ${rows[3]!.file}`);
  expect(after.inspection!.left_out).toEqual({ picture_truncated: 1, duplicate: 1 });
  expect(after.inspection!.summary).not.toHaveProperty('duplicate');
  expect(after.manifest!.files[2]!.bytes).toBe((await readFile(path.join(folder, 'quality.jsonl'))).length);
  const found = issues.filter((issue) => issue.with !== null);
  const pair = found.find((issue) => [issue.file, issue.with_file].includes('bird/twin.png'))!;
  expect(new Set([pair.file, pair.with_file])).toEqual(new Set([rows[2]!.file, 'bird/twin.png']));
  expect(pair.detail).toContain(`as ${pair.with_file} (cosine 1.000)`);
});

it('leaves the dataset as it was when the engine fails and when nothing can embed it; a few rows are looked at like many', async () => {
  const before = await frozen();
  expect(await inspectFrozen(context('/bin/false'), work(), before)).toEqual({ ...before, inspection: null });
  expect(await inspectFrozen(context(PYTHON), { ...work(), backbone: null }, before)).toEqual({ ...before, inspection: null });
  await rm(folder, { recursive: true });
  await mkdir(folder);
  const few = await frozen([rows[0]!, { ...rows[0]!, file: 'bird/copy.png' }]);
  const { inspection } = await inspectFrozen(context(PYTHON), work(), few);
  expect(inspection).toMatchObject({ rows: 1, label_noise: null, cross_validated_accuracy: null, left_out: { duplicate: 1 } });
  expect((await findings()).map(({ code, file }) => [code, file])).toEqual([['duplicate', 'bird/copy.png']]);
});

it('gives way when the lease is to be given back', async () => {
  const before = await frozen();
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 500);
  await expect(inspectFrozen(context(PYTHON, stop.signal), work(), before)).rejects.toThrow(/abort/i);
});
