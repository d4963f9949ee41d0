/** Datasets and multipart uploads against the real object store: what may go wrong is named, what was lost may be repeated. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { Dataset, Upload } from '../../shared/wire/datasets.ts';
import { DatasetManifest } from '../../shared/dataset.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Usage } from '../../shared/wire/usage.ts';
import { JOB_MAX_ATTEMPTS, UPLOAD_MAX_BYTES, UPLOAD_PART_BYTES } from '../../shared/limits.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { abortUpload } from '../../functions/usecases/datasets/abort-upload.ts';
import { completeUpload } from '../../functions/usecases/datasets/complete-upload.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';
import { meanwhile } from '../setup/meanwhile.ts';
import {
  clearQueue,
  deps,
  lease,
  named,
  publishTinyBackbone,
  put,
  readyDataset,
  runner,
  sendParts,
  tinyClassifier,
  uploadedDataset,
} from '../setup/training.ts';

const DatasetList = listOf(Dataset, 'DatasetList');
let key = '';
let tenant = '';
beforeAll(async () => {
  ({ key, tenant } = await newTenant());
  await publishTinyBackbone();
});
beforeEach(clearQueue);

async function openUpload(bytes: number, more: Record<string, unknown> = {}): Promise<{ dataset: string; path: string; upload: Upload }> {
  const made = await answer(await call('/v1/datasets', { key, json: { name: 'd', modality: 'image', format: 'imagefolder' } }), 201, Dataset);
  expect(made.status).toBe('awaiting_upload');
  const path = `/v1/datasets/${made.id}/uploads`;
  const upload = await answer(await call(path, { key, json: { filename: "a b+c'ü.zip", bytes, ...more } }), 201, Upload);
  return { dataset: made.id, path: `${path}/${upload.upload_id}`, upload };
}

describe('uploads', () => {
  it('goes straight to the store in parts and is whole there, byte for byte', async () => {
    const bytes = new Uint8Array(UPLOAD_PART_BYTES + 12_345).map((_, i) => i * 31);
    const { path, upload, dataset } = await openUpload(bytes.length);
    expect(upload.parts).toHaveLength(2);
    expect(upload.part_bytes).toBe(UPLOAD_PART_BYTES);
    const parts = await sendParts(upload, bytes);
    const done = await answer(await call(`${path}/complete`, { key, json: { parts: parts.toReversed() } }), 200, Dataset);
    expect(done.status).toBe('validating');
    const stored = await deps.objects.get(objectKeys.upload(tenant, dataset, upload.upload_id, "a b+c'ü.zip"));
    expect(stored?.length).toBe(bytes.length);
    expect(await named({ name: 'x', bytes: stored! })).toEqual(await named({ name: 'x', bytes }));
    // The answer was lost: asking again is answered, and no second validation is queued.
    expect((await answer(await call(`${path}/complete`, { key, json: { parts } }), 200, Dataset)).status).toBe('validating');
    const queued = await deps.d1.prepare('select count(*) as n from work where id = ?').bind(dataset).first<{ n: number }>();
    expect(queued?.n).toBe(1);
    expect((await problem(await call(`${path}/abort`, { key, method: 'POST' }), 'conflict')).detail).toContain('completed');
    const leased = await lease(['validate']);
    expect(leased.work).toMatchObject({ kind: 'validate', dataset, archive: { bytes: bytes.length, filename: "a b+c'ü.zip" } });
    const archive = leased.work.kind === 'validate' ? leased.work.archive! : null;
    expect((await (await fetch(archive!.url)).arrayBuffer()).byteLength).toBe(bytes.length);
    await runner(`leases/${leased.token}/fail`, { code: 'archive_invalid', detail: 'Not a zip.', retryable: false, blame: 'caller' });
    const invalid = await answer(await call(`/v1/datasets/${dataset}`, { key }), 200, Dataset);
    expect(invalid.status).toBe('invalid');
    expect(invalid.errors).toEqual([{ code: 'archive_invalid', detail: 'Not a zip.' }]);
  });

  it('names a missing, a repeated, a wrong-sized and a wrong part', async () => {
    const bytes = new Uint8Array(UPLOAD_PART_BYTES * 2 + 10);
    const { path, upload } = await openUpload(bytes.length);
    const complete = async (parts: unknown) => await call(`${path}/complete`, { key, json: { parts } });
    const first = await fetch(upload.parts[0]!.url, { method: 'PUT', body: bytes.subarray(0, UPLOAD_PART_BYTES) });
    const etag = first.headers.get('etag')!;
    const missing = await problem(
      await complete([
        { number: 1, etag },
        { number: 2, etag },
        { number: 3, etag },
      ]),
      'upload_incomplete',
    );
    expect(missing.errors?.map((e) => [e.code, e.detail])).toEqual([
      ['part_missing', 'Part 2 of 3 has not been sent.'],
      ['part_missing', 'Part 3 of 3 has not been sent.'],
    ]);
    const short = await fetch(upload.parts[1]!.url, { method: 'PUT', body: bytes.subarray(0, 1_000) });
    const third = await fetch(upload.parts[2]!.url, { method: 'PUT', body: bytes.subarray(0, 10) });
    const parts = [
      { number: 1, etag: '"0123456789abcdef0123456789abcdef"' },
      { number: 2, etag: short.headers.get('etag')! },
      { number: 3, etag: third.headers.get('etag')! },
    ];
    const wrong = await problem(await complete([...parts, { number: 9, etag: 'x' }]), 'upload_incomplete');
    expect(wrong.errors?.map((e) => [e.pointer, e.code])).toEqual([
      ['/parts/3', 'part_unexpected'],
      ['/parts/0', 'part_etag'],
      ['/parts/1', 'part_size'],
    ]);
    expect((await problem(await complete([{ number: 1, etag }]), 'upload_incomplete')).errors?.[0]?.detail).toContain('Part 2 of 3');
    // Sent again in the right size, it completes.
    const again = await fetch(upload.parts[1]!.url, { method: 'PUT', body: bytes.subarray(0, UPLOAD_PART_BYTES) });
    const good = [{ number: 1, etag }, { number: 2, etag: again.headers.get('etag')! }, parts[2]];
    expect((await answer(await complete(good), 200, Dataset)).status).toBe('validating');
  });

  it('are one a dataset: of two that are completed at once the other is told', async () => {
    const bytes = new Uint8Array(50);
    const first = await openUpload(bytes.length);
    const uploads = `/v1/datasets/${first.dataset}/uploads`;
    const second = await answer(await call(uploads, { key, json: { filename: 'b.zip', bytes: bytes.length } }), 201, Upload);
    const both = [first.upload, second];
    const parts = [await sendParts(first.upload, bytes), await sendParts(second, bytes)];
    const complete = async (i: number) => await call(`${uploads}/${both[i]!.upload_id}/complete`, { key, json: { parts: parts[i] } });
    const ends = await Promise.all([complete(0), complete(1)]);
    expect(ends.map((end) => end.status).toSorted((a, b) => a - b)).toEqual([200, 409]);
    const won = ends.findIndex((end) => end.status === 200);
    expect((await answer(ends[won]!, 200, Dataset)).upload_id).toBe(both[won]!.upload_id);
    expect((await problem(await complete(1 - won), 'conflict')).detail).toContain('another upload');
    expect((await answer(await complete(won), 200, Dataset)).status).toBe('validating');
  });

  it('that a host fails to read is not said to be at fault', async () => {
    const made = await uploadedDataset(key);
    // While it waits it says where it stands, and whether a host is there.
    const get = async () => await answer(await call(`/v1/datasets/${made.id}`, { key }), 200, Dataset);
    expect((await get()).queue?.position).toBe(1);
    await deps.d1.prepare('delete from hosts').run();
    expect((await get()).queue).toEqual({ position: 1, hosts_seen_seconds_ago: null });
    const leased = await lease(['validate']);
    expect(await get()).not.toHaveProperty('queue');
    // Inspected again by itself, whatever the host thinks of trying again, and then given up.
    const fail = { code: 'host_failed', detail: 'The engine broke.', retryable: false, blame: 'graft' };
    await runner(`leases/${leased.token}/fail`, fail);
    expect(await get()).toMatchObject({ status: 'validating', errors: [], queue: { position: 1 } });
    const failUntil = async (last: number, first = 1): Promise<void> => {
      for (let attempt = first; attempt <= last; attempt++) {
        await deps.d1.prepare('update work set available_at = 0 where id = ?').bind(made.id).run();
        const next = await lease(['validate']);
        expect([next.attempt, next.work]).toMatchObject([attempt, { dataset: made.id }]);
        await runner(`leases/${next.token}/fail`, fail);
      }
    };
    await failUntil(JOB_MAX_ATTEMPTS, 2);
    const { status, errors, upload_id: upload } = await get();
    const path = `/v1/datasets/${made.id}/uploads/${upload}/complete`;
    expect([status, errors]).toEqual(['invalid', [{ code: 'host_failed', detail: expect.stringContaining(`which is kept`) }]]);
    expect(errors[0]?.detail).toContain(`POST ${path} has it inspected again`);
    expect((await runner('lease', { host: 'h', capacity: { kinds: ['validate'], device: 'cpu' }, wait_seconds: 0 })).status).toBe(204);
    // Another tenant's key asks for nothing; its own, at once and twice, for one more round with the same bytes.
    const complete = async (by: string) => await call(path, { key: by, json: { parts: [{ number: 1, etag: 'forgotten' }] } });
    await problem(await complete((await newTenant()).key), 'not_found');
    const asked = await Promise.all([complete(key), complete(key)]);
    for (const response of asked) expect(await answer(response, 200, Dataset)).toMatchObject({ status: 'validating', errors: [], error_count: 0 });
    const again = await lease(['validate']);
    expect([again.attempt, again.work.kind === 'validate' && again.work.archive?.bytes]).toEqual([
      1,
      leased.work.kind === 'validate' && leased.work.archive?.bytes,
    ]);
    // What a host finds in the upload itself is final, and asking again changes nothing.
    await runner(`leases/${again.token}/fail`, { code: 'archive_unsafe', detail: 'x', retryable: false, blame: 'caller' });
    expect(await answer(await complete(key), 200, Dataset)).toMatchObject({ status: 'invalid', errors: [{ code: 'archive_unsafe', detail: 'x' }] });
  });

  it('can be aborted, twice, and then neither completes nor hides', async () => {
    const { path, upload, dataset } = await openUpload(100);
    expect((await answer(await call(path, { key }), 200, Upload)).parts).toHaveLength(1);
    for (let i = 0; i < 2; i++) expect((await answer(await call(`${path}/abort`, { key, method: 'POST' }), 200, Upload)).status).toBe('aborted');
    const late = await fetch(upload.parts[0]!.url, { method: 'PUT', body: new Uint8Array(100) });
    expect(late.status).toBe(404);
    await problem(await call(`${path}/complete`, { key, json: { parts: [{ number: 1, etag: 'x' }] } }), 'conflict');
    // The dataset still waits: a new upload may be opened.
    const more = await call(`/v1/datasets/${dataset}/uploads`, { key, json: { filename: 'b.zip', bytes: 5 } });
    expect((await answer(more, 201, Upload)).status).toBe('open');
  });

  it('end one way: given up while its parts are joined, or completed while it is given up', async () => {
    const bytes = new Uint8Array(50);
    const one = await openUpload(bytes.length);
    const parts = await sendParts(one.upload, bytes);
    const given = { tenant, dataset: one.dataset, upload: one.upload.upload_id };
    const abort = async () => await answer(await call(`${one.path}/abort`, { key, method: 'POST' }), 200, Upload);
    const ended = { code: 'conflict', message: expect.stringContaining('aborted') };
    await expect(completeUpload(meanwhile(deps, abort), { ...given, request: { parts } })).rejects.toMatchObject(ended);
    expect((await answer(await call(one.path, { key }), 200, Upload)).status).toBe('aborted');
    expect((await answer(await call(`/v1/datasets/${one.dataset}`, { key }), 200, Dataset)).status).toBe('awaiting_upload');

    const two = await openUpload(bytes.length);
    const json = { parts: await sendParts(two.upload, bytes) };
    const abortMultipart = async () => void (await answer(await call(`${two.path}/complete`, { key, json }), 200, Dataset));
    const racing = { ...deps, objects: { ...deps.objects, abortMultipart } };
    const late = { code: 'conflict', message: expect.stringContaining('completed') };
    await expect(abortUpload(racing, { tenant, dataset: two.dataset, upload: two.upload.upload_id })).rejects.toMatchObject(late);
    expect((await answer(await call(two.path, { key }), 200, Upload)).status).toBe('completed');
  });

  it('refuses paths as names, nothing, and too much', async () => {
    const made = await answer(await call('/v1/datasets', { key, json: { name: 'd', modality: 'text', format: 'csv' } }), 201, Dataset);
    const open = async (json: unknown) => await call(`/v1/datasets/${made.id}/uploads`, { key, json });
    for (const filename of ['../x.zip', 'a/b.zip', 'a\\b', '..', '', 'x\u0000y', 'a\nb'])
      expect((await problem(await open({ filename, bytes: 5 }), 'invalid_request')).errors?.[0]?.pointer).toBe('/filename');
    // Half of a surrogate pair has no UTF-8, and so no place in a key.
    const half = await call(`/v1/datasets/${made.id}/uploads`, {
      key,
      body: '{"filename":"\\ud800.csv","bytes":5}',
      headers: { 'content-type': 'application/json' },
    });
    expect((await problem(half, 'invalid_request')).errors?.[0]?.pointer).toBe('/filename');
    await problem(await open({ filename: 'a.csv', bytes: 0 }), 'invalid_request');
    await problem(await open({ filename: 'a.csv', bytes: 5, sha256: 'ABC' }), 'invalid_request');
    expect((await problem(await open({ filename: 'a.csv', bytes: UPLOAD_MAX_BYTES + 1 }), 'body_too_large')).detail).toContain(
      String(UPLOAD_MAX_BYTES),
    );
    const texts = await call('/v1/datasets', { key, json: { name: 'd', modality: 'text', format: 'imagefolder' } });
    expect((await problem(texts, 'invalid_request')).param).toBe('format');
  });
});

describe('frozen datasets', () => {
  it('become ready with counts, digest and the rows that were left out', async () => {
    const ready = await readyDataset(key);
    expect(ready.status).toBe('ready');
    expect(ready).toMatchObject({ rows: 12, labels: ['apple', 'pear'], unlabelled: 0, error_count: 1 });
    expect(ready.counts?.['train']).toEqual({ apple: 4, pear: 4 });
    expect(ready.errors[0]).toMatchObject({ file: 'broken.png', code: 'picture_truncated' });
    expect(ready.digest).toMatch(/^[0-9a-f]{64}$/);
    await problem(await call(`/v1/datasets/${ready.id}/uploads`, { key, json: { filename: 'a.zip', bytes: 5 } }), 'conflict');
    expect((await call(`/v1/datasets/${ready.id}`, { key, method: 'DELETE' })).status).toBe(204);
    await problem(await call(`/v1/datasets/${ready.id}`, { key }), 'not_found');
    const list = await answer(await call('/v1/datasets?limit=100', { key }), 200, DatasetList);
    expect(list.data.map((d) => d.id)).not.toContain(ready.id);
  });

  it('refuse files with other bytes than promised, at the store and at the completion', async () => {
    const { id } = await uploadedDataset(key);
    const leased = await lease(['validate']);
    const bytes = new TextEncoder().encode('hello');
    const file = await named({ name: 'rows.jsonl', bytes });
    const asked = await runner(`leases/${leased.token}/artifacts`, { files: [file] });
    const { uploads } = await asked.json<{ uploads: Record<string, Parameters<typeof put>[0]> }>();
    expect((await put(uploads['rows.jsonl']!, new TextEncoder().encode('jello'))).status).toBeGreaterThanOrEqual(400);
    expect((await put(uploads['rows.jsonl']!, new TextEncoder().encode('hello!'))).status).toBeGreaterThanOrEqual(400);
    expect(await deps.objects.head(objectKeys.frozen(tenant, id, leased.fence, 'rows.jsonl'))).toBeNull();
    expect((await put(uploads['rows.jsonl']!, bytes)).status).toBe(200);
    await problem(await runner(`leases/${leased.token}/artifacts`, { files: [{ ...file, name: 'head.safetensors' }] }), 'unprocessable');
    expect((await runner(`leases/${leased.token}/release`, { reason: 'shutdown' })).status).toBe(204);
    const again = await lease(['validate'], 'host-b');
    expect(again.fence).toBe(leased.fence + 1);
    await runner(`leases/${again.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'caller' });
  });

  it('have columns that mean something, or are told which do', async () => {
    const json = { name: 'mails', modality: 'text', format: 'csv', columns: { text: 'body', kind: 'class', 'tasks.mood': 'mood' } };
    const fault = await problem(await call('/v1/datasets', { key, json }), 'invalid_request');
    expect(fault.errors).toMatchObject([{ pointer: '/columns/kind', detail: expect.stringContaining('"tasks.<name>"') }]);
  });

  it('are made from a classifier without an upload', async () => {
    const classifier = await tinyClassifier(tenant, 2);
    const made = await answer(await call('/v1/datasets', { key, json: { name: 'from', from_classifier: classifier } }), 201, Dataset);
    expect(made).toMatchObject({ format: 'classifier', status: 'validating', from_classifier: classifier });
    const leased = await lease(['validate']);
    if (leased.work.kind !== 'validate') throw new Error('expected validation');
    expect(leased.work.examples?.map((e) => e.label).toSorted()).toEqual(['apple', 'apple', 'pear', 'pear']);
    await runner(`leases/${leased.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'caller' });
    await problem(await call('/v1/datasets', { key, json: { name: 'from', from_classifier: deps.newId('classifier') } }), 'not_found');
    const vectors = await answer(await call('/v1/classifiers', { key, json: { name: 'v', modality: 'vector', dimension: 4 } }), 201, Classifier);
    const refused = await call('/v1/datasets', { key, json: { name: 'from', from_classifier: vectors.id } });
    expect((await problem(refused, 'unprocessable')).param).toBe('from_classifier');
  });

  it("look like nothing to other tenants, and to a key without the scope they're closed", async () => {
    const { dataset, path } = await openUpload(10);
    const other = await newTenant();
    for (const [url, method] of [
      [`/v1/datasets/${dataset}`, 'GET'],
      [`/v1/datasets/${dataset}`, 'DELETE'],
      [path, 'GET'],
      [`${path}/abort`, 'POST'],
    ] as const) {
      const theirs = await problem(await call(url, { key: other.key, method }), 'not_found');
      const nobodys = await problem(await call(url.replaceAll(dataset, deps.newId('dataset')), { key: other.key, method }), 'not_found');
      expect(theirs.detail.replace(/_[0-9a-z]{26}/g, '')).toBe(nobodys.detail.replace(/_[0-9a-z]{26}/g, ''));
    }
    const predictor = await newTenant(['predict']);
    await problem(await call('/v1/datasets', { key: predictor.key }), 'forbidden');
  });
});

describe('stored bytes', () => {
  it('count what is uploaded and what is frozen, until the dataset is deleted', async () => {
    const own = await newTenant();
    const stored = async () => (await answer(await call('/v1/usage', { key: own.key }), 200, Usage)).stored_bytes;
    expect(await stored()).toBe(0);
    const bytes = new TextEncoder().encode('not really a zip');
    const waiting = await uploadedDataset(own.key, bytes);
    expect(await stored()).toBe(bytes.length);
    await call(`/v1/datasets/${waiting.id}`, { key: own.key, method: 'DELETE' });
    expect(await stored()).toBe(0);
    const ready = await readyDataset(own.key);
    const [row] = (await deps.d1.prepare('select manifest from datasets where id = ?').bind(ready.id).all<{ manifest: string }>()).results;
    const frozen = DatasetManifest.parse(JSON.parse(row!.manifest)).files.reduce((total, file) => total + file.bytes, 0);
    expect(frozen).toBeGreaterThan(0);
    expect(await stored()).toBe(bytes.length + frozen);
    // Another tenant's bytes are not counted here, and yesterday there were none.
    expect((await answer(await call('/v1/usage?from=2020-01-01&to=2020-01-02', { key: own.key }), 200, Usage)).stored_bytes).toBe(0);
    await call(`/v1/datasets/${ready.id}`, { key: own.key, method: 'DELETE' });
    expect(await stored()).toBe(0);
  });
});
