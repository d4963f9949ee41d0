/** What strangers put into zips: traps refuse the archive before anything is unpacked, bad pictures are named and the rest is frozen. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadDecoder } from '../../gpu-trainer/host/inputs.ts';
import { freezeDataset, type Frozen } from '../../gpu-trainer/host/validate/freeze.ts';
import { pictureLines } from '../../gpu-trainer/host/validate/lines.ts';
import { imageFolder } from '../../gpu-trainer/host/validate/sources.ts';
import { DatasetManifest, FrozenRow } from '../../shared/dataset.ts';
import { DATASET_ERRORS_KEPT, DATASET_ERRORS_MAX_BYTES } from '../../shared/limits.ts';
import { decodeSafetensors } from '../../shared/safetensors.ts';
import type { Decoder } from '../../shared/preprocess/decoder.ts';
import { makePng } from '../setup/png.ts';
import { makeZip, type ZipEntry } from './make-zip.ts';

let decoder: Decoder;
let root = '';
let folder = '';
beforeAll(async () => {
  decoder = await loadDecoder();
  root = await mkdtemp(path.join(tmpdir(), 'graft-archive-'));
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(root, 'job-'));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

const picture = (n: number): Uint8Array => makePng(8, 8, (x, y) => [n * 9, x * 20, y * 20]);
const fruit: readonly ZipEntry[] = [
  { name: 'apple/1.png', bytes: picture(1) },
  { name: 'apple/2.png', bytes: picture(2) },
  { name: 'pear/1.png', bytes: picture(3) },
  { name: 'pear/2.png', bytes: picture(4) },
];

async function freeze(bytes: Uint8Array, rowsOf: typeof imageFolder = imageFolder): Promise<Frozen> {
  const file = path.join(folder, 'upload');
  await writeFile(file, bytes);
  return await freezeDataset({
    modality: 'image',
    task: 'single_label',
    rows: (onError) => rowsOf(file, bytes.length, onError),
    encode: { decoder },
    folder,
    splitSeed: 7,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
}

/** The only error of an archive that was refused whole; nothing beside the host's own files may have been written. */
async function refusal(entries: readonly ZipEntry[]): Promise<Frozen['errors'][number]> {
  const frozen = await freeze(makeZip(entries));
  expect(frozen).toMatchObject({ manifest: null, files: [], errorCount: 1 });
  expect(frozen.errors).toHaveLength(1);
  expect((await readdir(root)).every((name) => name.startsWith('job-'))).toBe(true);
  expect((await readdir(folder)).toSorted()).toEqual(['upload']);
  return frozen.errors[0]!;
}

describe('an archive is refused whole', () => {
  it.each(['../escaped.png', 'apple/../../escaped.png', '/etc/escaped.png', 'C:/escaped.png', 'apple\\..\\escaped.png'])(
    'for the name %s',
    async (name) => {
      const error = await refusal([...fruit, { name, bytes: picture(5) }]);
      expect(error).toMatchObject({ code: 'archive_unsafe', file: name });
      expect(error.detail).toContain(name);
    },
  );

  it('for a symbolic link', async () => {
    const link = { name: 'apple/link.png', bytes: new TextEncoder().encode('/etc/passwd'), mode: 0o120777 };
    expect(await refusal([...fruit, link])).toMatchObject({ code: 'archive_unsafe', file: 'apple/link.png' });
  });

  it('for encryption', async () => {
    expect(await refusal([...fruit, { name: 'apple/secret.png', bytes: picture(5), flags: 1 }])).toMatchObject({
      code: 'archive_encrypted',
      file: 'apple/secret.png',
    });
  });

  it('for a name that comes twice', async () => {
    expect(await refusal([...fruit, { name: 'apple/1.png', bytes: picture(5) }])).toMatchObject({ code: 'archive_invalid', file: 'apple/1.png' });
  });

  it('for unpacking to more than 200 times its size', async () => {
    const zeros = new Uint8Array(9_000_000);
    const bomb = Array.from({ length: 30 }, (_, i) => ({ name: `apple/zeros-${i}.png`, bytes: zeros }));
    // 22 × 9 MB are still within 200 times the first megabyte.
    expect(await refusal([...bomb, ...fruit])).toMatchObject({ code: 'archive_bomb', file: 'apple/zeros-22.png' });
  });

  it('for not being a zip, and for a zip that was cut off', async () => {
    expect((await freeze(new TextEncoder().encode('not a zip at all'))).errors).toMatchObject([{ code: 'archive_invalid' }]);
    const whole = makeZip(fruit);
    expect((await freeze(whole.subarray(0, whole.length - 60))).errors).toMatchObject([{ code: 'archive_invalid' }]);
  });
});

describe('a bad entry is named and left out', () => {
  it('for broken, repeated, misplaced, lying and oversized pictures', async () => {
    const broken = picture(6).slice(0, 40);
    const frozen = await freeze(
      makeZip([
        ...fruit,
        { name: 'apple/broken.png', bytes: broken },
        { name: 'apple/notes.txt', bytes: new TextEncoder().encode('a list of apples') },
        { name: 'apple/again.png', bytes: picture(1) },
        { name: 'pear/apple.png', bytes: picture(2) },
        { name: 'lost.png', bytes: picture(7) },
        { name: 'apple/red/deep.png', bytes: picture(8) },
        { name: 'apple/lies.png', bytes: picture(9), claims: 10 },
        { name: 'apple/flipped.png', bytes: picture(10), crc: 1 },
        { name: 'apple/large.png', bytes: new Uint8Array(11_000_000) },
        { name: '__MACOSX/apple/._1.png', bytes: broken },
        { name: 'apple/.DS_Store', bytes: broken },
      ]),
    );
    expect(frozen.errors.map((e) => [e.code, e.file])).toEqual([
      ['picture_truncated', 'apple/broken.png'],
      ['unsupported_media_type', 'apple/notes.txt'],
      ['duplicate', 'apple/again.png'],
      ['label_conflict', 'pear/apple.png'],
      ['label_missing', 'lost.png'],
      ['path_too_deep', 'apple/red/deep.png'],
      ['file_damaged', 'apple/lies.png'],
      ['file_damaged', 'apple/flipped.png'],
      ['file_too_large', 'apple/large.png'],
    ]);
    expect(frozen.errors[2]?.detail).toContain('apple/1.png');
    expect(frozen.errors[3]?.detail).toContain('"apple"');
    expect(frozen.errorCount).toBe(9);
    expect(DatasetManifest.parse(frozen.manifest)).toMatchObject({ rows: 4, labels: ['apple', 'pear'], error_count: 9 });
  });

  it('also beside label folders that lie in one top folder', async () => {
    const inside = [{ name: 'README.md', bytes: new TextEncoder().encode('fruit') }, ...fruit].map((e) => ({ ...e, name: `fruit/${e.name}` }));
    const frozen = await freeze(makeZip(inside));
    expect(frozen.errors.map((e) => [e.code, e.file])).toEqual([['label_missing', 'fruit/README.md']]);
    expect(frozen.manifest).toMatchObject({ rows: 4, labels: ['apple', 'pear'] });
  });

  it('and reported in bounds, however long the names are', async () => {
    const long = Array.from({ length: DATASET_ERRORS_KEPT + 1 }, (_, i) => ({ name: `${'\u00e9'.repeat(10_000)}${i}.png`, bytes: picture(5) }));
    const frozen = await freeze(makeZip([...fruit, ...long]));
    expect(frozen.errorCount).toBe(long.length);
    expect(frozen.errors.length).toBeGreaterThan(100);
    expect(JSON.stringify(frozen.errors).length).toBeLessThan(DATASET_ERRORS_MAX_BYTES);
    expect(frozen.errors[0]).toMatchObject({ code: 'label_missing', file: `${'\u00e9'.repeat(500)}…` });
  });

  it('and the rest is frozen in the order of the archive, under the digests that are reported', async () => {
    const frozen = await freeze(makeZip([fruit[2]!, { name: 'apple/broken.png', bytes: picture(6).slice(0, 40) }, fruit[0]!, fruit[3]!, fruit[1]!]));
    const rows = (await readFile(path.join(folder, 'rows.jsonl'), 'utf8')).trim().split('\n');
    expect(rows.map((r) => FrozenRow.parse(JSON.parse(r)).file)).toEqual(['pear/1.png', 'apple/1.png', 'pear/2.png', 'apple/2.png']);
    const { tensors } = decodeSafetensors(new Uint8Array(await readFile(path.join(folder, 'dataset.safetensors'))));
    expect(tensors['pixels']?.shape).toEqual([4, 256, 256, 3]);
    expect(frozen.files.map((f) => path.basename(f))).toEqual(['dataset.safetensors', 'rows.jsonl']);
  });

  it('reads split folders, and takes no label or split from the names of JavaScript objects', async () => {
    const at = (prefix: string): ZipEntry[] =>
      fruit.map((e, i) => ({ name: `${prefix}/${e.name}`, bytes: picture(i + (prefix === 'train' ? 0 : 10)) }));
    const frozen = await freeze(makeZip([...at('train'), ...at('Test')]));
    expect(frozen.manifest?.counts).toMatchObject({ train: { apple: 2, pear: 2 }, test: { apple: 2, pear: 2 } });
    folder = await mkdtemp(path.join(root, 'job-'));
    const odd = await freeze(
      makeZip([
        ...fruit,
        { name: 'constructor/apple/1.png', bytes: picture(5) },
        { name: 'constructor/1.png', bytes: picture(6) },
        { name: 'constructor/2.png', bytes: picture(7) },
      ]),
    );
    expect(odd.errors).toMatchObject([{ code: 'path_too_deep', file: 'constructor/apple/1.png' }]);
    expect(odd.manifest?.counts.train).toEqual({ apple: 2, constructor: 2, pear: 2 });
  });
});

describe('names beyond ASCII', () => {
  const frozenFiles = async () =>
    (await readFile(path.join(folder, 'rows.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((r) => FrozenRow.parse(JSON.parse(r)));

  it('are read as what they are: UTF-8 that does not say so (Finder), else code page 437', async () => {
    const plain = (name: string, n: number): ZipEntry => ({ name, bytes: picture(n), rawName: Buffer.from(name) });
    const finder = ['A\u0308pfel/1.png', 'A\u0308pfel/2.png', '梨/3.png', '梨/4.png'].map((name, i) => plain(name, i));
    expect((await freeze(makeZip(finder))).manifest).toMatchObject({ rows: 4, labels: ['Äpfel', '梨'] });
    folder = await mkdtemp(path.join(root, 'job-'));
    // 0x8E is Ä there, and no character of UTF-8 by itself.
    const old = ['Xpfel/1.png', 'Xpfel/2.png'].map((name, i): ZipEntry => ({ ...plain(name, i), rawName: Buffer.from(name).fill(0x8e, 0, 1) }));
    expect((await freeze(makeZip([...old, ...fruit.slice(2)]))).manifest).toMatchObject({ rows: 4, labels: ['pear', 'Äpfel'] });
    folder = await mkdtemp(path.join(root, 'job-'));
    const escaping = { ...plain('x', 5), rawName: Buffer.from('é/../../escaped.png') };
    expect(await refusal([...fruit, escaping])).toMatchObject({ code: 'archive_unsafe' });
  });

  it('are found in a list whether their accents are composed or not', async () => {
    const line = (image: string, label: string) => JSON.stringify({ image, label });
    const bytes = Buffer.from([line('\u00e9.png', 'a'), line('e\u0300.png', 'a'), line('b1.png', 'b'), line('b2.png', 'b')].join('\n'));
    const names = ['e\u0301.png', '\u00e8.png', 'b1.png', 'b2.png'];
    const pictures = names.map((name, i) => ({ name, bytes: picture(i) }));
    const { manifest, errors } = await freeze(makeZip([{ name: 'rows.jsonl', bytes }, ...pictures]), pictureLines);
    expect(errors).toEqual([]);
    expect(manifest).toMatchObject({ rows: 4, labels: ['a', 'b'] });
    expect((await frozenFiles()).map(({ label }) => label)).toEqual(['a', 'a', 'b', 'b']);
  });
});

describe('unlabelled pictures', () => {
  const bare = [1, 2, 3, 4, 5, 6].map((n) => ({ name: `${n}.png`, bytes: picture(n) }));
  it.each([
    ['at the top', bare],
    ['under unlabelled/', bare.map((e) => ({ ...e, name: `unlabelled/${e.name}` }))],
    ['below one top folder', bare.map((e) => ({ ...e, name: `photos/Unlabeled/${e.name}` }))],
    ['in a split', bare.map((e) => ({ ...e, name: `train/unlabelled/${e.name}` }))],
  ])('%s make a dataset without labels', async (_, entries) => {
    const { manifest, errors } = await freeze(makeZip(entries));
    expect(errors).toEqual([]);
    expect(manifest).toMatchObject({ rows: 6, unlabelled: 6, labels: [] });
  });

  it('beside label folders make a partly labelled dataset', async () => {
    const { manifest } = await freeze(
      makeZip([...fruit, { name: 'unlabelled/1.png', bytes: picture(8) }, { name: 'unlabelled/2.png', bytes: picture(9) }]),
    );
    expect(manifest).toMatchObject({ rows: 6, unlabelled: 2, labels: ['apple', 'pear'] });
  });
});

describe('a list beside the pictures', () => {
  it('gives them labels or tasks, names what is missing, and must be one', async () => {
    const lines = [
      { image: 'pics/1.png', tasks: { kind: 'apple', ripe: 'yes' } },
      { image: 'pics/2.png', tasks: { kind: 'apple' } },
      { image: 'pics/3.png', tasks: { kind: 'pear', ripe: 'no' } },
      { image: 'pics/4.png', tasks: { kind: 'pear', ripe: 'yes' } },
      { image: 'pics/5.png', tasks: { ripe: 'no' } },
      { image: '../1.png', tasks: { ripe: 'no' } },
      { tasks: { ripe: 'no' } },
    ];
    const list = { name: 'set/rows.jsonl', bytes: new TextEncoder().encode(lines.map((line) => JSON.stringify(line)).join('\n')) };
    const pictures = [1, 2, 3, 4, 5].map((n) => ({ name: `set/pics/${n}.png`, bytes: picture(n) }));
    const { manifest, errors } = await freeze(makeZip([list, ...pictures]), pictureLines);
    expect(manifest).toMatchObject({ rows: 5, labels: ['apple', 'pear'], tasks: [{ name: 'kind' }, { name: 'ripe', counts: { no: 2, yes: 2 } }] });
    expect(errors.map((e) => [e.code, e.file, e.line])).toEqual([
      ['image_missing', 'set/rows.jsonl', 6],
      ['image_missing', 'set/rows.jsonl', 7],
    ]);
    const twice = await freeze(makeZip([list, { ...list, name: 'set/more.jsonl' }, ...pictures]), pictureLines);
    expect(twice).toMatchObject({ manifest: null, errors: [{ code: 'list_missing' }] });
  });
});
