/** Files of a trainer host that are too large for one PUT: sent in parts, joined under the lease, and nothing is left of what was given up. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HOST_FILE_PART_BYTES, HOST_FILE_SINGLE_MAX_BYTES } from '../../shared/limits.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { ArtifactsResponse, CheckpointResponse, PartResponse, type JoinRequest, type PartsTarget } from '../../shared/runner.ts';
import { Dataset } from '../../shared/wire/datasets.ts';
import { presignArtifacts, saveCheckpoint } from '../../functions/usecases/runner/serve-lease.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';
import {
  clearQueue,
  deps,
  frozenFiles,
  lease,
  named,
  newJob,
  publishTinyBackbone,
  put,
  readyDataset,
  runner,
  sendFiles,
  uploadedDataset,
  type NamedBytes,
} from '../setup/training.ts';

/** The smallest part that stores take. */
const PART = 5 * 1024 * 1024;
const SIZES = { singleMaxBytes: PART, partBytes: PART };
const large = (bytes: number) => new Uint8Array(bytes).map((_, i) => Math.imul(i, 2_654_435_761) >>> 24);

let key = '';
let tenant = '';
beforeAll(async () => {
  ({ key, tenant } = await newTenant());
  await publishTinyBackbone();
});
beforeEach(clearQueue);

const open = async (token: string, file: NamedBytes) => {
  const answered = await presignArtifacts(deps, { token, files: [await named(file)] }, SIZES);
  return ArtifactsResponse.parse(answered).in_parts[file.name]!;
};
const slice = (file: NamedBytes, number: number) => file.bytes.subarray((number - 1) * PART, number * PART);

async function askPart(token: string, file: NamedBytes, target: PartsTarget, number: number): Promise<Response> {
  const { sha256, bytes } = await named({ name: file.name, bytes: slice(file, number) });
  return await runner(`leases/${token}/part`, { name: file.name, upload: target.upload, number, sha256, bytes });
}

async function sendPart(token: string, file: NamedBytes, target: PartsTarget, number: number): Promise<JoinRequest['parts'][number]> {
  const { upload } = await answer(await askPart(token, file, target, number), 200, PartResponse);
  const response = await put(upload, slice(file, number));
  expect(response.status, await response.text()).toBe(200);
  return { number, etag: response.headers.get('etag') ?? '', sha256: (await named({ name: file.name, bytes: slice(file, number) })).sha256 };
}

const join = async (token: string, file: NamedBytes, target: PartsTarget, parts: JoinRequest['parts']) =>
  await runner(`leases/${token}/join`, {
    name: file.name,
    upload: target.upload,
    bytes: file.bytes.length,
    part_bytes: target.part_bytes,
    parts,
  });

describe('a large file of a trainer host', () => {
  it('is whole after its parts are joined, one of them sent again, and counts in the completion', async () => {
    const { id } = await uploadedDataset(key);
    const { token, fence } = await lease(['validate']);
    const { files, manifest } = await frozenFiles({}, { 'dataset.safetensors': large(2 * PART + 12_345) });
    const [file, ...small] = files as [NamedBytes, ...NamedBytes[]];
    const stored = objectKeys.frozen(tenant, id, fence, file.name);
    await sendFiles(token, small);
    const target = await open(token, file);
    expect(target.part_bytes).toBe(PART);

    const parts = [await sendPart(token, file, target, 1)];
    // Other bytes than were signed for the second part are refused by the store, and without it nothing is joined.
    const { upload } = await answer(await askPart(token, file, target, 2), 200, PartResponse);
    expect((await put(upload, slice(file, 1))).status).toBeGreaterThanOrEqual(400);
    expect((await put(upload, slice(file, 2).subarray(1))).status).toBeGreaterThanOrEqual(400);
    parts.push({ ...parts[0]!, number: 2 }, await sendPart(token, file, target, 3));
    const early = await problem(await join(token, file, target, parts), 'upload_incomplete');
    expect(early.errors).toMatchObject([{ code: 'part_missing', detail: expect.stringContaining('Part 2') }]);
    expect(await deps.objects.head(stored)).toBeNull();

    parts[1] = await sendPart(token, file, target, 2);
    expect((await join(token, file, target, parts)).status).toBe(204);
    // The answer was lost: asked again, it is the same.
    expect((await join(token, file, target, parts)).status).toBe(204);
    const bytes = await deps.objects.get(stored);
    expect(await named({ name: file.name, bytes: bytes! })).toEqual(await named(file));

    const completion = { kind: 'validate', ready: true, errors: [], error_count: 0 };
    const shorter = manifest.files.map((f) => (f.name === file.name ? { ...f, bytes: f.bytes - 1 } : f));
    const wrong = await runner(`leases/${token}/complete`, { ...completion, manifest: { ...manifest, files: shorter } });
    expect((await problem(wrong, 'checksum_mismatch')).errors).toMatchObject([{ file: file.name, code: 'artifact_size' }]);
    const done = await runner(`leases/${token}/complete`, { ...completion, manifest });
    expect(done.status, await done.text()).toBe(200);
    expect((await answer(await call(`/v1/datasets/${id}`, { key }), 200, Dataset)).status).toBe('ready');
  });

  it('is not joined for a host whose lease has passed on, which can still take its parts back', async () => {
    const { id: dataset } = await readyDataset(key);
    const { id } = await newJob(key, { dataset });
    const first = await lease(['train'], 'first');
    const file = { name: 'embeddings.safetensors', bytes: large(PART + 1) };
    const target = await open(first.token, file);
    const parts = [await sendPart(first.token, file, target, 1), await sendPart(first.token, file, target, 2)];
    await deps.d1.prepare('update work set expires_at = 1 where id = ?').bind(id).run();
    const second = await lease(['train'], 'second');
    expect(second.fence).toBe(first.fence + 1);

    await problem(await askPart(first.token, file, target, 1), 'stale_lease');
    await problem(await join(first.token, file, target, parts), 'stale_lease');
    // The second host's lease is for other keys: the first one's parts are none of its.
    await problem(await join(second.token, file, target, parts), 'upload_incomplete');
    const stored = objectKeys.artifact(tenant, id, first.fence, file.name);
    expect(await deps.objects.listParts(stored, target.upload)).toHaveLength(2);
    expect((await fetch(target.abort, { method: 'DELETE' })).status).toBe(204);
    expect(await deps.objects.listParts(stored, target.upload)).toBeNull();
    expect(await deps.objects.head(stored)).toBeNull();
    expect(await deps.objects.head(objectKeys.artifact(tenant, id, second.fence, file.name))).toBeNull();
    await runner(`leases/${second.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
  });

  it('is one beyond the limit, has no other name than those of its work, and stays when it is given up after it was joined', async () => {
    const { id } = await uploadedDataset(key);
    const { token, fence } = await lease(['validate']);
    const sha256 = '0'.repeat(64);
    const files = [
      { name: 'rows.jsonl', sha256, bytes: HOST_FILE_SINGLE_MAX_BYTES },
      { name: 'dataset.safetensors', sha256, bytes: HOST_FILE_SINGLE_MAX_BYTES + 1 },
    ];
    const asked = await answer(await runner(`leases/${token}/artifacts`, { files }), 200, ArtifactsResponse);
    expect(Object.keys(asked.in_parts)).toEqual(['dataset.safetensors']);
    expect(asked.in_parts['dataset.safetensors']?.part_bytes).toBe(HOST_FILE_PART_BYTES);
    expect((await fetch(asked.in_parts['dataset.safetensors']!.abort, { method: 'DELETE' })).status).toBe(204);

    const file = { name: 'dataset.safetensors', bytes: large(PART + 1) };
    const target = await open(token, file);
    const strange = { ...file, name: 'head.safetensors' };
    await problem(await askPart(token, strange, target, 1), 'unprocessable');
    const parts = [await sendPart(token, file, target, 1), await sendPart(token, file, target, 2)];
    await problem(await join(token, strange, target, parts), 'unprocessable');
    expect((await join(token, file, target, parts)).status).toBe(204);
    expect((await fetch(target.abort, { method: 'DELETE' })).ok).toBe(true);
    expect((await deps.objects.head(objectKeys.frozen(tenant, id, fence, file.name)))?.bytes).toBe(PART + 1);
    await runner(`leases/${token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'caller' });
  });
});

describe('a large checkpoint', () => {
  it('goes up in parts under the lease, is whole when it is recorded, and is what the next host goes on from', async () => {
    const { id: dataset } = await readyDataset(key);
    const { id } = await newJob(key, { dataset });
    const first = await lease(['train'], 'first');
    const file = { name: 'c', bytes: large(PART + 777) };
    const facts = { epoch: 4, sha256: (await named(file)).sha256, bytes: file.bytes.length };
    const asked = CheckpointResponse.parse(await saveCheckpoint(deps, { token: first.token, ...facts, stored: false }, SIZES));
    const target = asked.in_parts!;
    const under = { ...file, name: target.name };
    const parts = [await sendPart(first.token, under, target, 1), await sendPart(first.token, under, target, 2)];
    await problem(await runner(`leases/${first.token}/checkpoint`, { ...facts, stored: true }), 'upload_incomplete');
    expect((await join(first.token, under, target, parts)).status).toBe(204);
    expect((await runner(`leases/${first.token}/checkpoint`, { ...facts, stored: true })).status).toBe(200);

    await deps.d1.prepare('update work set expires_at = 1 where id = ?').bind(id).run();
    const second = await lease(['train'], 'second');
    if (second.work.kind !== 'train') throw new Error('expected training');
    expect(second.work.checkpoint).toMatchObject(facts);
    const bytes = new Uint8Array(await (await fetch(second.work.checkpoint!.url)).arrayBuffer());
    expect(await named({ name: 'c', bytes })).toEqual(await named(file));
    await runner(`leases/${second.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
  });

  it('is one beyond the limit, and no file of another kind of work', async () => {
    const { id: dataset } = await readyDataset(key);
    await newJob(key, { dataset });
    const { token } = await lease(['train']);
    const of = async (bytes: number) =>
      await answer(await runner(`leases/${token}/checkpoint`, { epoch: 1, sha256: '0'.repeat(64), bytes, stored: false }), 200, CheckpointResponse);
    expect((await of(HOST_FILE_SINGLE_MAX_BYTES)).in_parts).toBeNull();
    const { in_parts: target } = await of(HOST_FILE_SINGLE_MAX_BYTES + 1);
    expect(target).toMatchObject({ name: `checkpoint-1-${'0'.repeat(16)}.safetensors`, part_bytes: HOST_FILE_PART_BYTES });
    expect((await fetch(target!.abort, { method: 'DELETE' })).status).toBe(204);
    await runner(`leases/${token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'graft' });
    await uploadedDataset(key);
    const other = await lease(['validate']);
    const part = { upload: target!.upload, number: 1, sha256: '0'.repeat(64), bytes: 1 };
    await problem(await runner(`leases/${other.token}/part`, { name: target!.name, ...part }), 'unprocessable');
    await runner(`leases/${other.token}/fail`, { code: 'x', detail: 'x', retryable: false, blame: 'caller' });
  });
});
