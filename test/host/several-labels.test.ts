/** Rows with several labels: read from JSONL and CSV, frozen with every label of each row, divided so that each label is in every part. */
import { createServer, type Server } from 'node:http';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeExamples } from '../../gpu-trainer/host/encode-examples.ts';
import { freezeDataset, type Frozen } from '../../gpu-trainer/host/validate/freeze.ts';
import { csvRows, jsonLines } from '../../gpu-trainer/host/validate/lines.ts';
import { FrozenRow } from '../../shared/dataset.ts';
import type { BackboneManifest } from '../../shared/catalogue.ts';
import { decodeSafetensors, takeTensor } from '../../shared/safetensors.ts';
import { makeTokenizer } from '../../shared/preprocess/wordpiece.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz'.split('');
const VOCABULARY = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', ...LETTERS, ...LETTERS.map((letter) => `##${letter}`)].join('\n');
const tokenizer = makeTokenizer(VOCABULARY);
const signal = new AbortController().signal;
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-several-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function freeze(name: string, content: string, columns: Record<string, string> | null = null): Promise<Frozen> {
  const file = path.join(folder, 'upload');
  await writeFile(file, content);
  const reading = { task: 'multi_label', columns } as const;
  return await freezeDataset({
    modality: 'text',
    task: 'multi_label',
    rows: (onError) => (name.endsWith('.csv') ? csvRows(file, name, reading, onError) : jsonLines(file, name, onError, reading)),
    encode: { tokenizer },
    folder,
    splitSeed: 7,
    onProgress: () => undefined,
    signal,
  });
}
const named = (frozen: Frozen) => frozen.errors.map((e) => [e.code, e.line]);
const lines = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).join('\n');

/** `labels` of the arrays, and of each row the columns that are 1. */
async function stored(file = 'dataset.safetensors'): Promise<{ labels: number[]; present: number[][] }> {
  const arrays = decodeSafetensors(await readFile(path.join(folder, file)));
  const { shape, data } = takeTensor(arrays, 'present', 'U8', 2);
  const [n = 0, k = 0] = shape;
  const present = Array.from({ length: n }, (_, i) =>
    [...data.subarray(i * k, (i + 1) * k).entries()].filter(([, one]) => one === 1).map(([c]) => c),
  );
  return { labels: [...takeTensor(arrays, 'labels', 'I32', 1).data], present };
}
async function frozenRows(): Promise<FrozenRow[]> {
  const text = await readFile(path.join(folder, 'rows.jsonl'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => FrozenRow.parse(JSON.parse(line)));
}

describe('jsonl of several labels', () => {
  it('is frozen with all labels of each row, and tells having none from not being labelled', async () => {
    const rows = [
      { text: 'a', labels: ['red', ' round '] },
      { text: 'b', labels: ['round', 'red', 'round'] },
      { text: 'c', labels: [] },
      { text: 'd', labels: null },
      { text: 'e' },
      { text: 'f', label: 'soft' },
      { text: 'g', target: 'soft' },
    ];
    const { manifest, errors } = await freeze('a.jsonl', lines(rows));
    expect(errors).toEqual([]);
    expect(manifest).toMatchObject({ task: 'multi_label', labels: ['red', 'round', 'soft'], rows: 7, unlabelled: 2, tasks: [] });
    expect(manifest?.counts.train).toEqual({ red: 2, round: 2, soft: 2 });
    expect(await stored()).toEqual({ labels: [0, 0, 0, -1, -1, 0, 0], present: [[0, 1], [0, 1], [], [], [], [2], [2]] });
    const frozen = await frozenRows();
    expect(frozen.map((row) => row.labels)).toEqual([['red', 'round'], ['round', 'red'], [], null, null, ['soft'], ['soft']]);
    expect(frozen.every((row) => row.label === null)).toBe(true);
  });

  it('names each bad line', async () => {
    const good = 'abcd'.split('').map((text, i) => ({ text, labels: i % 2 === 0 ? ['x', 'y'] : ['y', 'x'] }));
    const bad = [
      { text: 'e', labels: 'x' },
      { text: 'f', labels: ['x', 5] },
      { text: 'g', labels: ['x', null] },
      { text: 'h', labels: ['x', ' '] },
      { text: 'i', labels: { x: true } },
      { text: 'j', label: ['x'] },
      { text: 'k', tasks: { mood: 'up' } },
      { text: 'l', labels: ['..'] },
      { text: 'a', labels: ['y', 'x'] },
      { text: 'a', labels: ['x'] },
      { text: 'a' },
    ];
    const frozen = await freeze('a.jsonl', lines([...good, ...bad]));
    expect(named(frozen)).toEqual([
      ['label_invalid', 5],
      ['label_invalid', 6],
      ['label_invalid', 7],
      ['label_missing', 8],
      ['label_invalid', 9],
      ['label_invalid', 10],
      ['tasks_invalid', 11],
      ['label_invalid', 12],
      // The same labels in another order are the same.
      ['duplicate', 13],
      ['label_conflict', 14],
      ['label_conflict', 15],
    ]);
    expect(frozen.errors.at(-1)?.detail).toBe('The same content as a.jsonl line 1, which has other labels; the first one is kept.');
    expect(frozen.manifest).toMatchObject({ rows: 4 });
  });

  it('takes labels from the key that the caller names, and says where there are too few', async () => {
    const tags = 'abcd'.split('').map((text, i) => ({ text, tags: i % 2 === 0 ? ['x'] : ['x', 'y'] }));
    expect((await freeze('a.jsonl', lines(tags), { labels: 'tags' })).manifest).toMatchObject({ labels: ['x', 'y'], unlabelled: 0 });
    expect((await freeze('a.jsonl', lines(tags), { labels: 'marks' })).errors).toMatchObject([{ code: 'column_missing' }]);
    const few = async (rows: unknown[]) => {
      const { manifest, errors } = await freeze('a.jsonl', lines(rows));
      return [manifest?.rows, ...errors.map(({ code }) => code)];
    };
    expect(await few('ab'.split('').map((text) => ({ text, labels: ['x'] })))).toEqual([2, 'too_few_labels']);
    expect(await few('abc'.split('').map((text, i) => ({ text, labels: i === 0 ? ['x', 'y'] : ['x'] })))).toEqual([3, 'too_few_rows']);
  });
});

describe('csv of several labels', () => {
  it('has them in one cell, and an empty cell is none of them', async () => {
    const { manifest, errors } = await freeze('a.csv', 'text,labels\na,red|round\nb, round | red |round\nc,\nd,red\n');
    expect(errors).toEqual([]);
    expect(manifest).toMatchObject({ labels: ['red', 'round'], unlabelled: 0, rows: 4 });
    expect(await stored()).toEqual({ labels: [0, 0, 0, 0], present: [[0, 1], [0, 1], [], [0]] });
    const bad = await freeze('a.csv', 'text,labels\na,x|y\nb,x||y\nc,y|x|\nd,x|y\n');
    expect(named(bad)).toEqual([
      ['label_missing', 3],
      ['label_missing', 4],
    ]);
  });

  it('may call its column otherwise, or have one label a row', async () => {
    expect((await freeze('a.csv', 'text,tags\na,x|y\nb,y|x\n', { labels: 'tags' })).manifest).toMatchObject({ labels: ['x', 'y'], unlabelled: 0 });
    const one = await freeze('a.csv', 'text,label\na,x|y\nb,x|y\nc,z\nd,z\ne,\n');
    expect(one.manifest).toMatchObject({ labels: ['x|y', 'z'], unlabelled: 1 });
    const none = await freeze('a.csv', 'text,tags\na,x|y\nb,y|x\n');
    expect(none.manifest).toMatchObject({ unlabelled: 2, labels: [] });
    expect(none.errors).toMatchObject([{ code: 'label_column_missing', line: 1 }]);
    expect(none.errors[0]?.detail).toContain('"labels"');
    expect((await freeze('a.csv', 'text,labels,labels\na,x,y\n')).errors).toMatchObject([{ code: 'column_repeated' }]);
  });
});

describe('examples with several labels', () => {
  let server: Server;
  let url = '';
  beforeAll(async () => {
    server = createServer((request, response) => response.writeHead(request.url === '/gone' ? 404 : 200).end('abc'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('are encoded with all of them, without those that are gone', async () => {
    await writeFile(path.join(folder, 'vocab.txt'), VOCABULARY);
    const backbone = { modality: 'text', vocabulary: null } as unknown as BackboneManifest;
    const example = (id: string, labels: string[], place = '') => ({
      id,
      label: null,
      labels,
      content_type: 'text/plain',
      sha256: id,
      download: { url: `${url}/${place}`, bytes: null, sha256: null },
    });
    const examples = [example('one', ['soft', 'red']), example('two', []), example('lost', ['odd'], 'gone'), example('three', ['red'])];
    const input = { folder, signal, task: 'multi_label', backbone, backboneDir: folder } as const;
    expect(await encodeExamples(input, 'enrolled', examples)).toEqual({
      arrays: path.join(folder, 'enrolled.safetensors'),
      ids: ['one', 'two', 'three'],
      labels: ['red', 'soft'],
    });
    expect(await stored('enrolled.safetensors')).toEqual({ labels: [0, 0, 0], present: [[0, 1], [], [0]] });
    const single = examples.map((one) => ({ ...one, label: one.labels[0] ?? 'soft', labels: null }));
    await encodeExamples({ ...input, task: 'single_label' }, 'enrolled', single);
    const arrays = decodeSafetensors(await readFile(path.join(folder, 'enrolled.safetensors')));
    expect([...takeTensor(arrays, 'labels', 'I32', 1).data]).toEqual([1, 1, 0]);
    expect(arrays.tensors).not.toHaveProperty('present');
  });
});
