/** Data that whoever runs the accuracy benchmark brings. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { givenSet } from '../../infra/bench/accuracy/given.ts';

const root = mkdtempSync(join(tmpdir(), 'graft-given-'));
afterAll(() => rmSync(root, { recursive: true }));

test('a folder is pictures by label, without hidden files and small classes', () => {
  const folder = join(root, 'pets');
  for (const [label, count] of [
    ['cat', 70],
    ['guinea-pig', 9],
    ['rare', 8],
  ] as const) {
    mkdirSync(join(folder, label), { recursive: true });
    for (let i = 0; i < count; i++) writeFileSync(join(folder, label, `${i}.PNG`), String(i));
    writeFileSync(join(folder, label, '.DS_Store'), '');
    writeFileSync(join(folder, label, 'notes.txt'), '');
  }
  const set = givenSet(folder);
  expect(set).toMatchObject({ name: 'pets', modality: 'image', names: { cat: 'cat', 'guinea-pig': 'guinea pig' } });
  expect(Map.groupBy(set.items, (item) => item.label).get('guinea-pig')).toHaveLength(9);
  expect(Map.groupBy(set.items, (item) => item.label).get('cat')).toHaveLength(60);
  expect(set.items.map((item) => item.label)).not.toContain('rare');
  expect(givenSet(folder).items.map((item) => item.id)).toEqual(set.items.map((item) => item.id));
});

test('lines are texts, and a line that is none is named', () => {
  const file = join(root, 'mails.jsonl');
  const rows = ['praise', 'complaint'].flatMap((label) => Array.from({ length: 9 }, (_, i) => JSON.stringify({ text: `${label} ${i}`, label })));
  writeFileSync(file, `${rows.join('\n')}\n\n`);
  expect(givenSet(file)).toMatchObject({ name: 'mails', modality: 'text' });
  expect(givenSet(file).items).toHaveLength(18);
  for (const line of ['{"text": "half', '{"text": "no label"}']) {
    writeFileSync(file, [...rows, line].join('\n'));
    expect(() => givenSet(file)).toThrow('mails.jsonl, line 19');
  }
  writeFileSync(file, rows.slice(0, 10).join('\n'));
  expect(() => givenSet(file)).toThrow('fewer than two labels');
  expect(() => givenSet(join(root, 'nothing'))).toThrow('no such file');
});
