/** JSONL and CSV: every bad line is named by file and line, everything else is frozen. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freezeDataset, type Frozen } from '../../gpu-trainer/host/validate/freeze.ts';
import { csvRows, jsonLines } from '../../gpu-trainer/host/validate/sources.ts';
import { LABEL_NAME_MAX_CHARS, TEXT_MAX_BYTES } from '../../shared/limits.ts';
import { makeTokenizer } from '../../shared/preprocess/wordpiece.ts';

// A vocabulary of letters: these tests are about lines, not about words.
const LETTERS = 'abcdefghijklmnopqrstuvwxyz'.split('');
const tokenizer = makeTokenizer(['[PAD]', '[UNK]', '[CLS]', '[SEP]', ...LETTERS, ...LETTERS.map((letter) => `##${letter}`)].join('\n'));
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-lines-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function freeze(name: string, content: string, columns: Record<string, string> | null = null): Promise<Frozen> {
  const file = path.join(folder, 'upload');
  await writeFile(file, content);
  return await freezeDataset({
    modality: 'text',
    rows: (onError) => (name.endsWith('.csv') ? csvRows(file, name, columns, onError) : jsonLines(file, name, onError)),
    encode: { tokenizer },
    folder,
    splitSeed: 7,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
}
const named = (frozen: Frozen) => frozen.errors.map((e) => [e.code, e.file, e.line]);

describe('jsonl', () => {
  it('names each bad line', async () => {
    const frozen = await freeze(
      'mail.jsonl',
      [
        '\uFEFF{"text": "win a prize", "label": "spam"}',
        '{"text": "cheap pills", "label": "spam"',
        '["text", "spam"]',
        '',
        '{"label": "spam"}',
        '{"text": "   ", "label": "spam"}',
        '{"text": "five", "label": 5}',
        '{"text": "empty", "label": " "}',
        '{"text": "when", "label": "spam", "split": "later"}',
        '{"text": "whose", "label": "spam", "split": "constructor"}',
        JSON.stringify({ text: 'x'.repeat(TEXT_MAX_BYTES + 1), label: 'spam' }),
        JSON.stringify({ text: 'long', label: 'x'.repeat(LABEL_NAME_MAX_CHARS + 1) }),
        '{"text": "win a prize", "label": "spam"}',
        '{"text": "win a prize", "label": "letter"}',
        '{"text": "dear aunt", "target": "letter"}\r',
        '{"text": "dear uncle", "label": "letter"}',
        '{"text": "buy now", "label": "spam"}',
      ].join('\n'),
    );
    expect(named(frozen)).toEqual([
      ['json_invalid', 'mail.jsonl', 2],
      ['row_invalid', 'mail.jsonl', 3],
      ['text_missing', 'mail.jsonl', 5],
      ['text_missing', 'mail.jsonl', 6],
      ['label_invalid', 'mail.jsonl', 7],
      ['label_missing', 'mail.jsonl', 8],
      ['split_invalid', 'mail.jsonl', 9],
      ['split_invalid', 'mail.jsonl', 10],
      ['text_too_long', 'mail.jsonl', 11],
      ['label_too_long', 'mail.jsonl', 12],
      ['duplicate', 'mail.jsonl', 13],
      ['label_conflict', 'mail.jsonl', 14],
    ]);
    expect(frozen.errors.at(-1)?.detail).toContain('mail.jsonl line 1');
    expect(frozen.manifest).toMatchObject({ rows: 4, labels: ['letter', 'spam'], counts: { train: { letter: 2, spam: 2 } } });
  });

  it('keeps a dataset without labels, and refuses one that no job could use', async () => {
    expect((await freeze('a.jsonl', '{"text": "one"}\n{"text": "two"}')).manifest).toMatchObject({ rows: 2, unlabelled: 2, labels: [] });
    const line = (text: string, label: string) => JSON.stringify({ text, label });
    const cases: [string, string[]][] = [
      ['dataset_empty', ['{"text": 1}']],
      ['too_few_labels', [line('one', 'spam'), line('two', 'spam')]],
      ['too_few_rows', [line('one', 'spam'), line('two', 'spam'), line('three', 'letter')]],
    ];
    for (const [code, lines] of cases) {
      const frozen = await freeze('a.jsonl', lines.join('\n'));
      expect(frozen.manifest).toBeNull();
      expect(frozen.errors[0]).toMatchObject({ code });
    }
  });
});

describe('csv', () => {
  it('names each bad line, also after a record of several lines', async () => {
    const frozen = await freeze(
      'mail.csv',
      [
        '\uFEFFtext,label,split',
        '"win, ""now""",spam,train',
        '"dear',
        'aunt",letter,train',
        ',spam,train',
        'three,spam',
        'one,spam,train,more',
        'when,spam,later',
        'buy now,spam,test',
        'dear uncle,letter,test',
      ].join('\n'),
    );
    expect(named(frozen)).toEqual([
      ['text_missing', 'mail.csv', 5],
      ['row_invalid', 'mail.csv', 6],
      ['row_invalid', 'mail.csv', 7],
      ['split_invalid', 'mail.csv', 8],
    ]);
    expect(frozen.manifest).toMatchObject({ rows: 4, counts: { train: { letter: 1, spam: 1 }, test: { letter: 1, spam: 1 } } });
  });

  it('takes the columns that the caller names, and says which one is missing', async () => {
    const content = 'body,kind\nwin,spam\nbuy,spam\naunt,letter\nuncle,letter\n';
    expect((await freeze('mail.csv', content, { text: 'body', label: 'kind' })).manifest).toMatchObject({ rows: 4 });
    const missing = await freeze('mail.csv', content);
    expect(missing.manifest).toBeNull();
    expect(missing.errors).toMatchObject([{ code: 'column_missing', file: 'mail.csv', line: 1 }]);
    expect(missing.errors[0]?.detail).toContain('body, kind');
    // A wrong name for the label must not freeze everything as unlabelled.
    const unlabelled = await freeze('mail.csv', content, { text: 'body', label: 'category' });
    expect(unlabelled.errors).toMatchObject([{ code: 'column_missing', file: 'mail.csv', line: 1 }]);
  });

  it('refuses a file whose quotes do not end', async () => {
    const frozen = await freeze('mail.csv', 'text,label\nwin,spam\n"buy,spam\naunt,letter\n');
    expect(frozen.manifest).toBeNull();
    expect(frozen.errors).toMatchObject([{ code: 'csv_invalid', file: 'mail.csv' }]);
    expect(frozen.errors[0]?.detail).toContain('line');
  });
});
