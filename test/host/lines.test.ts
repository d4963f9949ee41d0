/** JSONL and CSV: every bad line is named by file and line, everything else is frozen. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freezeDataset, type Frozen } from '../../gpu-trainer/host/validate/freeze.ts';
import { csvRows, jsonLines } from '../../gpu-trainer/host/validate/lines.ts';
import { LABEL_NAME_MAX_CHARS, LINE_MAX_BYTES, TEXT_MAX_BYTES } from '../../shared/limits.ts';
import { FrozenRow } from '../../shared/dataset.ts';
import { decodeSafetensors } from '../../shared/safetensors.ts';
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

const task = 'single_label';

async function freeze(name: string, content: string | Uint8Array, columns: Record<string, string> | null = null): Promise<Frozen> {
  const file = path.join(folder, 'upload');
  await writeFile(file, content);
  return await freezeDataset({
    modality: 'text',
    task,
    rows: (onError) => (name.endsWith('.csv') ? csvRows(file, name, { task, columns }, onError) : jsonLines(file, name, onError, { task, columns })),
    encode: { tokenizer },
    folder,
    splitSeed: 7,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
}
const named = (frozen: Frozen) => frozen.errors.map((e) => [e.code, e.file, e.line]);

describe('a validation', () => {
  it('ends when it is told to, in the middle of nothing but bad lines too', async () => {
    const file = path.join(folder, 'upload');
    await writeFile(file, '{"text": "no label and no end"\n'.repeat(5_000));
    const over = new AbortController();
    let lines = 0;
    const validation = freezeDataset({
      modality: 'text',
      task,
      rows: (onError) =>
        jsonLines(file, 'mail.jsonl', (error) => {
          if (++lines === 10) over.abort();
          onError(error);
        }),
      encode: { tokenizer },
      folder,
      splitSeed: 7,
      onProgress: () => undefined,
      signal: over.signal,
    });
    await expect(validation).rejects.toThrow(/abort/i);
    expect(lines).toBe(10);
    expect(await readdir(folder)).toEqual(['upload']);
  });
});

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

  it('keeps what only some jobs could use, and says what others lack: every label at once, so that one more upload is enough', async () => {
    const line = (text: string, label: string) => JSON.stringify({ text, label });
    const told = async (lines: string[]) => {
      const { manifest, errors } = await freeze('a.jsonl', lines.join('\n'));
      return { rows: manifest?.rows, counts: manifest?.counts.train, errors: errors.map(({ code, detail }) => `${code}: ${detail}`) };
    };
    const rare = ['a', 'b', 'c', 'd'].map((label) => line(`about ${label}`, label));
    expect(await told([...rare, line('more of a', 'a')])).toEqual({
      rows: 5,
      counts: { a: 2, b: 1, c: 1, d: 1 },
      errors: ['too_few_rows: 3 labels ("b", "c", "d") have a single usable row each: a job learns from it, but proves nothing about it.'],
    });
    expect(await told([line('one', 'spam'), line('two', 'spam')])).toEqual({
      rows: 2,
      counts: { spam: 2 },
      errors: ['too_few_labels: The dataset has one label, "spam": it can be adapted to or judged by, but not trained on.'],
    });
    // A target of which one row is labelled.
    expect((await told(['{"text": "what is it"}', line('three', 'letter')])).errors).toHaveLength(1);
    const task = (text: string, mood: string) => JSON.stringify({ text, tasks: { mood, topic: text } });
    expect((await told([task('one', 'glad'), task('two', 'glad')])).errors[0]).toContain('The task "mood" has one label');
  });

  it('keeps a dataset without labels, and refuses one that no job could use', async () => {
    expect((await freeze('a.jsonl', '{"text": "one"}\n{"text": "two"}')).manifest).toMatchObject({ rows: 2, unlabelled: 2, labels: [] });
    const line = (text: string, label: string) => JSON.stringify({ text, label });
    const cases: [string, string[]][] = [
      ['dataset_empty', ['{"text": 1}']],
      ['labels_too_long', Array.from({ length: 900 }, (_, n) => line(`text ${n}`, `${n % 450}${'漢'.repeat(190)}`))],
    ];
    for (const [code, lines] of cases) {
      const frozen = await freeze('a.jsonl', lines.join('\n'));
      expect(frozen.manifest).toBeNull();
      expect(frozen.errors[0]).toMatchObject({ code });
    }
  });
});

describe('tasks', () => {
  const column = async (name: string): Promise<number[]> => {
    const tensor = decodeSafetensors(await readFile(path.join(folder, 'dataset.safetensors'))).tensors[name];
    return tensor?.data instanceof Int32Array ? [...tensor.data] : [];
  };

  it('are frozen one tensor each, with −1 where a row does not answer', async () => {
    const rows = [
      { text: 'a', tasks: { topic: 'work', tone: 'warm' } },
      { text: 'b', tasks: { topic: 'play' } },
      { text: 'c', tasks: { tone: 'cold', topic: 'work' } },
      { text: 'd', tasks: { tone: 'warm' } },
      { text: 'e', tasks: { topic: 'play', tone: 'cold' } },
      { text: 'f', tasks: {} },
    ];
    const { manifest, errors } = await freeze('a.jsonl', rows.map((row) => JSON.stringify(row)).join('\n'));
    expect(errors).toEqual([]);
    expect(manifest).toMatchObject({ labels: ['play', 'work'], rows: 6, unlabelled: 1 });
    expect(manifest?.tasks).toEqual([
      { name: 'topic', labels: ['play', 'work'], counts: { play: 2, work: 2 } },
      { name: 'tone', labels: ['cold', 'warm'], counts: { cold: 2, warm: 2 } },
    ]);
    expect(await column('tasks.0')).toEqual([1, 0, 1, -1, 0, -1]);
    expect(await column('tasks.1')).toEqual([1, -1, 0, 1, 0, -1]);
    expect(await column('labels')).toEqual(await column('tasks.0'));
    const lines = (await readFile(path.join(folder, 'rows.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => FrozenRow.parse(JSON.parse(line)));
    expect(lines[3]).toMatchObject({ label: null, tasks: { tone: 'warm' } });
  });

  it('come from named columns too, in CSV and JSONL, and a label beside them is a task of its own', async () => {
    const columns = { text: 'body', 'tasks.mood': 'm' };
    const csv = await freeze('a.csv', 'body,label,m\na,x,up\nb,x,down\nc,y,\nd,y,up\ne,,down\n', columns);
    const lines = ['a,x,up', 'b,x,down', 'c,y,', 'd,y,up', 'e,,down'].map((line) => {
      const [body, label, m] = line.split(',');
      return JSON.stringify({ body, label: label || undefined, m: m || undefined });
    });
    const json = await freeze('a.jsonl', lines.join('\n'), columns);
    for (const { manifest } of [csv, json])
      expect(manifest?.tasks.map((task) => [task.name, task.counts])).toEqual([
        ['label', { x: 2, y: 2 }],
        ['mood', { down: 2, up: 2 }],
      ]);
    expect(json.manifest?.digest).not.toBe(csv.manifest?.digest); // file names are part of rows.jsonl
  });

  it('are refused where no job could use them', async () => {
    const rows = (tasks: unknown[]) => tasks.map((of, i) => JSON.stringify({ text: 'abcdefgh'[i], tasks: of })).join('\n');
    const bad = await freeze('a.jsonl', rows([['x'], { '': 'x' }, { t: 5 }, { t: 'x' }, { t: 'x' }, { t: 'x' }]));
    expect(bad.manifest).toBeNull();
    expect(bad.errors.map((e) => [e.code, e.line])).toEqual([
      ['too_few_labels', undefined],
      ['tasks_invalid', 1],
      ['tasks_invalid', 2],
      ['label_invalid', 3],
    ]);
    expect(bad.errors[0]?.detail).toContain('"t"');
    const several = await freeze('a.jsonl', '{"text":"a","labels":["x","y"]}\n{"text":"b","labels":["x"]}');
    expect(several.errors.map((e) => [e.code, e.line])).toContainEqual(['label_invalid', 1]);
    const conflict = await freeze(
      'a.jsonl',
      rows([
        { t: 'x', u: 'p' },
        { t: 'x', u: 'q' },
        { t: 'y', u: 'p' },
        { t: 'y', u: 'q' },
      ]).replace('"b"', '"a"'),
    );
    expect(conflict.errors.map((e) => [e.code, e.line])).toContainEqual(['label_conflict', 2]);
  });
});

describe('jsonl that is not what it seems', () => {
  const good = ['spam', 'letter'].flatMap((label) => ['one', 'two'].map((n) => JSON.stringify({ text: `${label} ${n}`, label })));

  it('may hold line separators of Unicode, which end no line', async () => {
    const frozen = await freeze('a.jsonl', [...good, JSON.stringify({ text: 'before\u2028after\u2029end', label: 'spam' }), '{'].join('\n'));
    expect(named(frozen)).toEqual([['json_invalid', 'a.jsonl', 6]]);
    expect(frozen.manifest).toMatchObject({ rows: 5 });
  });

  it('is refused line by line where it is not UTF-8', async () => {
    const latin = Buffer.from('{"text": "caf\u00e9", "label": "spam"}\n', 'latin1');
    const frozen = await freeze(
      'a.jsonl',
      Buffer.concat([Buffer.from(`${good.join('\n')}\n`), latin, Buffer.from('{"text": "caf\u00e9", "label": "spam"}')]),
    );
    expect(named(frozen)).toEqual([['encoding_invalid', 'a.jsonl', 5]]);
    expect(frozen.manifest).toMatchObject({ rows: 5 });
  });

  it('names a line that is too long to be read, and goes on after it', async () => {
    const long = JSON.stringify({ text: 'short', label: 'spam', ignored: 'x'.repeat(LINE_MAX_BYTES) });
    const frozen = await freeze('a.jsonl', [...good.slice(0, 2), long, ...good.slice(2)].join('\n'));
    expect(named(frozen)).toEqual([['line_too_long', 'a.jsonl', 3]]);
    expect(frozen.manifest).toMatchObject({ rows: 4 });
  });

  it('without the keys that the caller named is not an unlabelled dataset', async () => {
    const frozen = await freeze('a.jsonl', good.join('\n'), { label: 'kind' });
    expect(frozen).toMatchObject({ manifest: null, errors: [{ code: 'column_missing', file: 'a.jsonl' }] });
    expect(frozen.errors[0]?.detail).toContain('"kind"');
  });

  it('has only labels that a classifier may have', async () => {
    const strange = ['.', '..', '\u0000', '\ud800', '__proto__'].map((label, i) => JSON.stringify({ text: `strange ${i}`, label }));
    const frozen = await freeze('a.jsonl', [...good, ...strange].join('\n'));
    expect(frozen.errors.map((e) => [e.code, e.line])).toEqual([5, 6, 7, 8, 9].map((line) => ['label_invalid', line]));
    expect(frozen.manifest?.labels).toEqual(['letter', 'spam']);
  });
});

describe('csv', () => {
  it('without a label column is an unlabelled target', async () => {
    expect((await freeze('a.csv', 'text\none\ntwo\nthree\n')).manifest).toMatchObject({ rows: 3, unlabelled: 3, labels: [], tasks: [] });
  });

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

  it.each([
    ['semicolons', ';'],
    ['tabs', '\t'],
  ])('is read with %s between its cells where its header has them and no comma', async (_, separator) => {
    const rows = ['text|label', '"one; two, three"|spam', 'win, now|spam', 'aunt|letter', 'uncle|letter'].map((row) => row.replace('|', separator));
    expect((await freeze('a.csv', rows.join('\r\n'))).manifest).toMatchObject({ rows: 4, labels: ['letter', 'spam'], error_count: 0 });
    // Under a header with commas they are part of what is said.
    const commas = await freeze(
      'a.csv',
      `text,label\n${['a', 'b', 'c', 'd'].map((x, i) => `${x}${separator}x,${i < 2 ? 'spam' : 'letter'}`).join('\n')}`,
    );
    expect(commas.manifest).toMatchObject({ rows: 4, labels: ['letter', 'spam'], error_count: 0 });
  });

  it('reads names of columns without blanks, refuses one that comes twice, and says when no column holds labels', async () => {
    const rows = 'one,spam\ntwo,spam\nthree,letter\nfour,letter\n';
    expect((await freeze('a.csv', `text , label\n${rows}`)).manifest).toMatchObject({ labels: ['letter', 'spam'], unlabelled: 0, error_count: 0 });
    const twice = await freeze('a.csv', `text,label,label\n${rows.replaceAll('\n', ',x\n')}`);
    expect(twice).toMatchObject({ manifest: null, errors: [{ code: 'column_repeated', file: 'a.csv', line: 1 }] });
    // Columns that are not read may be called what they like.
    expect((await freeze('a.csv', `text,label,,\n${rows.replaceAll('\n', ',x,y\n')}`)).manifest).toMatchObject({ rows: 4, error_count: 0 });
    const other = await freeze('a.csv', `text,category\n${rows}`);
    expect(other.manifest).toMatchObject({ rows: 4, unlabelled: 4 });
    expect(other.errors).toMatchObject([{ code: 'label_column_missing', file: 'a.csv', line: 1 }]);
  });

  it('keeps a quote inside of a value, and refuses rows that are not UTF-8', async () => {
    const rows = 'a "good" one,spam\ntwo,spam\nthree,letter\nfour,letter\n';
    expect((await freeze('a.csv', `text,label\n${rows}`)).manifest).toMatchObject({ rows: 4, error_count: 0 });
    const frozen = await freeze('a.csv', Buffer.concat([Buffer.from(`text,label\n${rows}`), Buffer.from('caf\u00e9,spam\nlast,spam\n', 'latin1')]));
    expect(named(frozen)).toEqual([['encoding_invalid', 'a.csv', 6]]);
    expect(frozen.manifest).toMatchObject({ rows: 5 });
    const utf16 = await freeze('a.csv', Buffer.from(`\ufefftext,label\n${rows}`, 'utf16le'));
    expect(utf16.manifest).toMatchObject({ rows: 4, labels: ['letter', 'spam'], error_count: 0 });
  });

  it('refuses a record without end before it fills the memory', async () => {
    const frozen = await freeze('a.csv', `text,label\n"one,spam\n${'two,letter\n'.repeat(LINE_MAX_BYTES / 10)}`);
    expect(frozen).toMatchObject({ manifest: null, errors: [{ code: 'csv_invalid', file: 'a.csv' }] });
    expect(frozen.errors[0]?.detail).toContain(String(LINE_MAX_BYTES));
  });

  it('refuses a file whose quotes do not end', async () => {
    const frozen = await freeze('mail.csv', 'text,label\n"win ""now"",\nor never",spam\n"buy,spam\naunt,letter\n');
    expect(frozen.manifest).toBeNull();
    expect(frozen.errors).toMatchObject([{ code: 'csv_invalid', file: 'mail.csv', line: 4 }]);
    expect(frozen.errors[0]?.detail).toContain('line');
  });
});
