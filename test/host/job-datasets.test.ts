/** Several datasets in one job: no row is both learnt from and judged by, whichever of them holds it. */
import { createServer, type Server } from 'node:http';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { withoutHeld } from '../../gpu-trainer/host/encode-examples.ts';
import { fetchIncumbent } from '../../gpu-trainer/host/incumbent.ts';
import { encodeTokens } from '../../gpu-trainer/host/job-backbone.ts';
import { fetchDatasets } from '../../gpu-trainer/host/job-datasets.ts';
import { makeWorkerApi } from '../../gpu-trainer/host/worker-api.ts';
import { TEXT_MAX_TOKENS } from '../../shared/limits.ts';
import { decodeSafetensors, takeTensor } from '../../shared/safetensors.ts';
import type { QualityCode } from '../../shared/quality.ts';
import type { Download, TrainWork } from '../../shared/runner.ts';

const stored = new Map<string, string>();
/** What the host said to the Worker, by its last word, and the head that it gets for it. */
const posted: [string, unknown][] = [];
let unseen: Download | null = null;
let server: Server;
let url = '';
let folder = '';
const signal = new AbortController().signal;
beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.method === 'POST') {
      void text(request).then((body) => {
        const said = path.basename(request.url ?? '');
        posted.push([said, JSON.parse(body)]);
        response.writeHead(said === 'incumbent' ? 200 : 204).end(said === 'incumbent' ? JSON.stringify({ head: unseen }) : '');
      });
      return;
    }
    const content = stored.get(request.url ?? '');
    response.writeHead(content === undefined ? 404 : 200).end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(async () => {
  stored.clear();
  folder = await mkdtemp(path.join(tmpdir(), 'graft-datasets-'));
  return async () => await rm(folder, { recursive: true, force: true });
});

type Split = 'train' | 'validation' | 'test';
/** `[digest, split, label, tasks, labels]` a row; the label is "a" unless it says otherwise. */
function dataset(
  id: string,
  rows: readonly (readonly [string, Split, (string | null)?, Record<string, string>?, (string[] | null)?])[],
  issues: readonly (readonly [number, QualityCode])[] | null = null,
): TrainWork['dataset'] {
  const put = (name: string, content: string) => {
    stored.set(`/${id}/${name}`, content);
    return [name, { url: `${url}/${id}/${name}`, bytes: null, sha256: null }] as const;
  };
  const lines = (all: readonly unknown[]) => all.map((one) => `${JSON.stringify(one)}\n`).join('');
  const files = [
    put('dataset.safetensors', `arrays of ${id}`),
    put(
      'rows.jsonl',
      lines(rows.map(([sha256, split, label = 'a', tasks, labels], row) => ({ row, file: `${row}.png`, label, tasks, labels, split, sha256 }))),
    ),
    ...(issues
      ? [
          put(
            'quality.jsonl',
            lines([...issues.map(([row, code]) => ({ row, code, score: 1, detail: 'x' })), { row: null, code: 'duplicate', score: 1, detail: 'y' }]),
          ),
        ]
      : []),
  ];
  const manifest = {
    format: 'graft-dataset-1' as const,
    modality: 'image' as const,
    task: 'single_label' as const,
    labels: ['a', 'b'],
    rows: rows.length,
    counts: { train: {}, validation: {}, test: {} },
    unlabelled: 0,
    digest: '',
    files: [],
    tasks: [{ name: 't', labels: ['a', 'b'], counts: { a: 1, b: 1 } }],
    errors: [],
    error_count: 0,
    split_seed: 1,
  };
  return { id, manifest, files: Object.fromEntries(files), examples_left: null };
}
const example = (sha256: string) => {
  const download = { url, bytes: null, sha256: null };
  return { id: sha256, label: 'a', labels: null, content_type: 'image/png', sha256, download };
};
const held = (of: { held: ReadonlySet<string> }) => [...of.held].toSorted();

describe('datasets of a job', () => {
  const source = [
    ['p', 'train'],
    ['q', 'train'],
    ['r', 'validation'],
    ['s', 'test'],
    ['t', 'train'],
  ] as const;

  it('alone hold out their own rows', async () => {
    const got = await fetchDatasets({ dataset: dataset('one', source), validation: null, target: null, exclude: ['outlier'] }, folder, signal);
    expect(got).toMatchObject({ excludeRows: [], notes: [], validation: null, target: null });
    expect(held(got)).toEqual(['r', 's']);
    expect(got.dataset).toMatchObject({ labels: ['a', 'b'], tasks: [{ name: 't', labels: ['a', 'b'] }] });
    expect(got.dataset.tasks[0]).not.toHaveProperty('counts');
  });

  it('leave out everywhere what was deleted from the classifier that they were made of', async () => {
    const left = (rows: number, gone: readonly number[]) =>
      Array.from({ length: rows }, (_, row) => `${row}.png`).filter((_, row) => !gone.includes(row));
    const one = { ...dataset('one', source), examples_left: left(5, [1, 2]) };
    const alone = await fetchDatasets({ dataset: one, validation: null, target: null, exclude: [] }, folder, signal);
    expect(alone).toMatchObject({ excludeRows: [1, 2], withdrawn: { validation: [], target: [] } });
    expect([held(alone), [...alone.judged]]).toEqual([['s'], ['s']]);
    expect(alone.told).toEqual(['2 rows are examples that were deleted from their classifier since; they are left out.']);
    expect(alone.notes).toEqual(alone.told);

    // A row that nothing judges by any more may be learnt from where it is another's.
    const validation = {
      ...dataset('judge', [
        ['p', 'train'],
        ['t', 'test'],
      ]),
      examples_left: left(2, [0]),
    };
    const target = {
      ...dataset('far', [
        ['x', 'train', null],
        ['y', 'train', null],
      ]),
      examples_left: left(2, [1]),
    };
    const work = { dataset: one, validation, target, exclude: [] };
    const all = await fetchDatasets(work, folder, signal);
    expect(all).toMatchObject({ excludeRows: [1, 2, 4], excludeTargetRows: [1], withdrawn: { validation: [0], target: [1] } });
    expect(all.told).toEqual([expect.stringMatching(/^4 rows /)]);
  });

  it('may have line separators of Unicode in labels and names', async () => {
    const rows = [['p', 'train', 'a\u2028b'] as const, ...source];
    expect(held(await fetchDatasets({ dataset: dataset('one', rows), validation: null, target: null, exclude: [] }, folder, signal))).toEqual([
      'r',
      's',
    ]);
  });

  it('do not train on what a target holds out', async () => {
    const target = dataset('target', [
      ['q', 'test'],
      ['p', 'train'],
      ['z', 'validation'],
    ]);
    const got = await fetchDatasets({ dataset: dataset('one', source), validation: null, target, exclude: [] }, folder, signal);
    expect(got.excludeRows).toEqual([1]);
    // Judged by the target, the source's own splits are all for training.
    expect(held(got)).toEqual(['q', 'z']);
    expect(got.notes[0]).toContain('1 rows');
    expect(got.target?.arrays).not.toBe(got.dataset.arrays);
  });

  it('hold out their own rows where the target has no labels', async () => {
    const target = dataset('target', [
      ['q', 'test', null],
      ['s', 'train', null],
    ]);
    const got = await fetchDatasets({ dataset: dataset('one', source), validation: null, target, exclude: [] }, folder, signal);
    expect(got.excludeRows).toEqual([]);
    expect(held(got)).toEqual(['r', 's']);
  });

  it('with a validation dataset train on every split, less what that one holds', async () => {
    const validation = dataset('check', [
      ['s', 'train'],
      ['t', 'train'],
      ['y', 'test'],
    ]);
    const got = await fetchDatasets({ dataset: dataset('one', source), validation, target: null, exclude: [] }, folder, signal);
    expect(got.excludeRows).toEqual([3, 4]);
    expect(held(got)).toEqual(['s', 't', 'y']);
  });

  it('do not train on a row that judges another task than the first', async () => {
    const validation = dataset('check', [
      ['t', 'train', null, { t: 'b' }],
      ['p', 'train', null],
    ]);
    const got = await fetchDatasets({ dataset: dataset('one', source), validation, target: null, exclude: [] }, folder, signal);
    expect(got.excludeRows).toEqual([4]);
    expect(held(got)).toEqual(['t']);
  });

  it('do not train on a row that judges by having none of the labels, where rows have several', async () => {
    const validation = dataset('check', [
      ['t', 'train', null, {}, []],
      ['q', 'train', null, {}, ['a', 'b']],
      ['p', 'train', null, {}, null],
    ]);
    const got = await fetchDatasets({ dataset: dataset('one', source), validation, target: null, exclude: [] }, folder, signal);
    expect(got.excludeRows).toEqual([1, 4]);
    expect(held(got)).toEqual(['q', 't']);
  });

  it('judge nothing by what a source classifier was enrolled with', async () => {
    const from = { classifier: 'cls_1', examples: [example('p'), example('s'), example('elsewhere')] };
    const got = await fetchDatasets({ dataset: dataset('one', source), validation: null, target: null, exclude: [], source: from }, folder, signal);
    // "p" would be learnt from twice, "s" would be judged by although its version has seen it.
    expect(got.excludeRows).toEqual([0, 3]);
    expect(held(got)).toEqual(['r']);
    expect(withoutHeld(from.examples, got.held).map(({ id }) => id)).toEqual(['p', 's', 'elsewhere']);
    expect(got.notes).toEqual(['2 rows of the dataset are examples of the source classifier; as rows they are left out.']);
    // What another dataset holds out is not learnt from as an example either.
    const validation = dataset('check', [['s', 'test']]);
    const judged = await fetchDatasets({ dataset: dataset('one', source), validation, target: null, exclude: [], source: from }, folder, signal);
    expect(withoutHeld(from.examples, judged.held).map(({ id }) => id)).toEqual(['p', 'elsewhere']);
  });

  it('are learnt from once where the classifier was enrolled with their rows', async () => {
    const enrolled = ['p', 'r', 's', 'elsewhere'].map(example);
    const alone = { dataset: dataset('one', source), validation: null, target: null, exclude: [], enrolled };
    const got = await fetchDatasets(alone, folder, signal);
    // As examples, "r" of the validation split too: the test row "s" is what is judged by, and its example is not learnt from.
    expect(got.excludeRows).toEqual([0, 2]);
    expect(withoutHeld(enrolled, got.judged).map(({ id }) => id)).toEqual(['p', 'r', 'elsewhere']);
    expect([...got.judged]).toEqual(['s']);
    expect(got.notes).toEqual(['2 rows of the dataset are examples of the classifier; they are learnt from once, as examples.']);
    // As a row "p" may say what an example does not: the labels of other tasks, or that it is of the target.
    const several = await fetchDatasets({ ...alone, method: { type: 'multi_task' } }, folder, signal);
    expect(several.excludeRows).toEqual([]);
    const adapted = { ...alone, source: { classifier: 'cls_1', examples: [example('s')] }, method: { type: 'domain_adaptation' as const } };
    expect((await fetchDatasets(adapted, folder, signal)).excludeRows).toEqual([3]);
  });

  it('do not learn labels of a target that judge in another dataset', async () => {
    const target = dataset('target', [
      ['x', 'train'],
      ['y', 'train', null],
      ['z', 'train', 'b'],
    ]);
    const validation = dataset('check', [
      ['x', 'train'],
      ['y', 'train'],
    ]);
    const got = await fetchDatasets({ dataset: dataset('one', source), validation, target, exclude: [] }, folder, signal);
    // Of "y" the target has the input alone.
    expect(got).toMatchObject({ excludeRows: [], excludeTargetRows: [0] });
    expect(got.notes).toEqual(['1 labelled rows of the target are held out elsewhere; they are not trained on.']);
    // Rows of the dataset itself judge where the target holds nothing out.
    const own = dataset('own', [['s', 'train', 'b'] as const, ['x', 'train', 'a'] as const]);
    expect(
      (await fetchDatasets({ dataset: dataset('one', source), validation: null, target: own, exclude: [] }, folder, signal)).excludeTargetRows,
    ).toEqual([0]);
    const judging = dataset('judging', [['s', 'test', 'b'] as const, ['x', 'train', 'a'] as const]);
    const by = await fetchDatasets({ dataset: dataset('one', source), validation: null, target: judging, exclude: [] }, folder, signal);
    expect(by).toMatchObject({ excludeRows: [3], excludeTargetRows: [] });
  });

  it('judge by test rows, or by those of validation, or by all of another dataset', async () => {
    const judged = async (rows: Parameters<typeof dataset>[1], more: Partial<Parameters<typeof fetchDatasets>[0]> = {}) => {
      const alone = { dataset: dataset('one', rows), validation: null, target: null, exclude: [], ...more };
      return [...(await fetchDatasets(alone, folder, signal)).judged].toSorted();
    };
    expect(await judged(source)).toEqual(['s']);
    expect(await judged(source.filter(([, split]) => split !== 'test'))).toEqual(['r']);
    // By rows of the task that is served: others say nothing about it.
    const tasks = [
      ['p', 'train', 'a', { t: 'a', u: 'c' }],
      ['r', 'validation', 'a', { t: 'a' }],
      ['s', 'test', null, { u: 'c' }],
    ] as const;
    expect(await judged(tasks)).toEqual(['r']);
    expect(await judged(tasks, { method: { type: 'multi_task', task: 'u' } })).toEqual(['s']);
    expect(await judged(tasks, { method: { type: 'multi_task' } })).toEqual(['r']);
    const unlabelled = source.map(([sha256, split]) => (split === 'test' ? ([sha256, split, null] as const) : ([sha256, split] as const)));
    expect(await judged(unlabelled)).toEqual(['r']);
    const target = dataset('target', [
      ['x', 'train'],
      ['y', 'validation'],
      ['z', 'test'],
    ]);
    expect(await judged(source, { target })).toEqual(['z']);
    const validation = dataset('check', [
      ['v', 'train'],
      ['w', 'train', null],
    ]);
    expect(await judged(source, { target, validation })).toEqual(['v']);
  });

  it('leave out the rows whose findings were named, each once', async () => {
    const issues = [
      [4, 'outlier'],
      [1, 'label_issue'],
      [1, 'outlier'],
      [0, 'tiny_picture'],
      [99, 'outlier'],
    ] as const;
    const work = { dataset: dataset('one', source, issues), validation: null, target: null, exclude: ['outlier', 'label_issue'] as QualityCode[] };
    const got = await fetchDatasets(work, folder, signal);
    expect(got.excludeRows).toEqual([1, 4]);
    expect(got.notes).toEqual(['Left out by their quality: 1 outlier, 1 label_issue.']);
    // Single rows as well, found or not; where nothing has a code, the report is not even read.
    const more = await fetchDatasets({ ...work, exclude: ['outlier', 3, 1, 3, 99] }, folder, signal);
    expect(more.excludeRows).toEqual([1, 3, 4]);
    expect(more.notes).toEqual(['Left out by their quality: 2 outlier.', 'Left out by their number: 1.']);
    const alone = await fetchDatasets({ ...work, dataset: dataset('two', source), exclude: [0, 2] }, folder, signal);
    expect(alone.excludeRows).toEqual([0, 2]);
    expect(alone.notes).toEqual(['Left out by their number: 2.']);
    expect([...(await fetchDatasets({ ...work, exclude: [3] }, folder, signal)).judged]).toEqual(['r']);
  });
});

describe('what a candidate is compared with', () => {
  const work = (more: Partial<TrainWork>) => {
    stored.set('/head', 'the head being served');
    stored.set('/unseen', 'the head without some examples');
    const head = { url: `${url}/head`, bytes: null, sha256: null };
    const incumbent = { version: 7, head, tail: null, tail_data: null, trunk: null, trunk_data: null };
    return { incumbent, enrolled: [], source: null, taught: [], ...more };
  };
  async function fetched(of: Pick<TrainWork, 'incumbent' | 'enrolled' | 'source' | 'taught'>, judged: string[]) {
    posted.length = 0;
    const api = makeWorkerApi(url, 'a token of a host');
    const got = await fetchIncumbent({ folder, api, lease: { token: 't' }, keeper: { signal } }, of, new Set(judged));
    return { posted: [...posted], head: got && (await readFile(got.head, 'utf8')) };
  }

  it('has not been taught the rows that judge it', async () => {
    const of = work({ enrolled: ['p', 'q'].map(example), source: { classifier: 'cls_1', examples: [example('r')] } });
    unseen = { url: `${url}/unseen`, bytes: null, sha256: null };
    const log = { type: 'log', level: 'info', message: expect.stringContaining('2 held-out rows') as unknown };
    expect(await fetched(of, ['q', 'r', 'z'])).toEqual({
      posted: [
        ['incumbent', { version: 7, without: ['q', 'r'] }],
        ['events', { events: [log], first: 1 }],
      ],
      head: 'the head without some examples',
    });
    expect(await fetched(of, ['z'])).toEqual({ posted: [], head: 'the head being served' });
    expect(await fetched({ ...of, incumbent: null }, ['q'])).toEqual({ posted: [], head: null });
    // Without them it would answer nothing: it is what it is.
    unseen = null;
    expect(await fetched(of, ['q'])).toEqual({ posted: [['incumbent', { version: 7, without: ['q'] }]], head: 'the head being served' });
  });

  it('has not been taught them as rows of another dataset either', async () => {
    const rows = [
      ['q', 'train'],
      ['p', 'train'],
      ['z', 'train'],
    ] as const;
    const examples = [
      { id: 'ex_q', row: 0 },
      { id: 'ex_z', row: 2 },
    ];
    // The second row was not kept, and the third judges nothing.
    const of = work({ taught: [{ dataset: 'before', rows: dataset('before', rows).files['rows.jsonl']!, examples }] });
    unseen = { url: `${url}/unseen`, bytes: null, sha256: null };
    const { posted: said, head: got } = await fetched(of, ['q', 'p']);
    expect(said[0]).toEqual(['incumbent', { version: 7, without: ['ex_q'] }]);
    expect(got).toBe('the head without some examples');
    expect((await readdir(folder)).toSorted()).toEqual(['incumbent-head.safetensors']);
  });
});

describe('label names', () => {
  it('become padded rows of tokens with their lengths', () => {
    const file = decodeSafetensors(encodeTokens(['ab', 'c'], (text) => Int32Array.from([101, ...Array.from(text, (c) => c.charCodeAt(0)), 102])));
    expect([...takeTensor(file, 'lengths', 'I32', 1).data]).toEqual([4, 3]);
    const { shape, data: ids } = takeTensor(file, 'input_ids', 'I32', 2);
    expect(shape).toEqual([2, TEXT_MAX_TOKENS]);
    expect(Array.from(ids.slice(0, 5))).toEqual([101, 97, 98, 102, 0]);
    expect(Array.from(ids.slice(TEXT_MAX_TOKENS, TEXT_MAX_TOKENS + 4))).toEqual([101, 99, 102, 0]);
  });
});
