/** What a candidate is compared with must not have been taught what judges it: the served head as it would be without those examples. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decodeHead } from '../../shared/head-file.ts';
import { CompleteResponse, IncumbentResponse, type TrainWork } from '../../shared/runner.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';
import {
  clearQueue,
  completionOf,
  deps,
  DIMENSION,
  heldOutOf,
  lease,
  newJob,
  publishTinyBackbone,
  readyDataset,
  runner,
  sendFiles,
  tinyClassifier,
  trainedFiles,
  uploadedDataset,
} from '../setup/training.ts';

let key = '';
let tenant = '';
let dataset = '';
beforeAll(async () => {
  ({ key, tenant } = await newTenant());
  await publishTinyBackbone();
  dataset = (await readyDataset(key)).id;
});
beforeEach(clearQueue);

const examplesOf = async (classifier: string): Promise<string[]> =>
  (await deps.classifier(classifier).listExamples({ limit: 100, after: null, label: null })).data.map(({ id }) => id);

async function served(classifier: string): Promise<Uint8Array | null> {
  const now = await deps.classifier(classifier).servedHead(null);
  return 'head' in now ? now.head : null;
}

/** A leased job of that classifier, and the head without some examples as its host gets it. */
async function leased(asked: Record<string, unknown>) {
  const { id } = await newJob(key, { dataset, ...asked });
  const { token, work } = await lease(['train']);
  const { incumbent, taught } = work as TrainWork;
  const ask = async (without: readonly string[]) => await runner(`leases/${token}/incumbent`, { version: incumbent?.version ?? 1, without });
  const head = async (without: readonly string[]): Promise<Uint8Array | null> => {
    const { head: from } = await answer(await ask(without), 200, IncumbentResponse);
    if (from === null) return null;
    const bytes = new Uint8Array(await (await fetch(from.url)).arrayBuffer());
    expect(bytes.length).toBe(from.bytes);
    return bytes;
  };
  return { id, token, incumbent, taught, ask, head };
}

it('every dataset is divided alike: what judges one has not been learnt from another', async () => {
  const seeds: number[] = [];
  for (const bytes of ['once', 'and once more']) {
    await uploadedDataset(key, new TextEncoder().encode(bytes));
    const { work } = await lease(['validate']);
    if (work.kind === 'validate') seeds.push(work.split_seed);
  }
  expect(seeds).toHaveLength(2);
  expect(seeds[0]).toBe(seeds[1]);
});

describe('the head of the version that is compared with', () => {
  it('is, without some examples, what it would be had they never been enrolled', async () => {
    const classifier = await tinyClassifier(tenant, 4);
    const job = await leased({ classifier });
    const [first, , third] = await examplesOf(classifier);
    const before = await served(classifier);
    const without = await job.head([first!, third!, deps.newId('example')]);
    expect(without).not.toEqual(before);
    // Nothing about the classifier itself has changed, until they really go.
    expect(await served(classifier)).toEqual(before);
    for (const id of [first!, third!]) await deps.classifier(classifier).deleteExample(id);
    expect(without).toEqual(await served(classifier));
  });

  it('does not know what was enrolled or brought back after the job was leased', async () => {
    const classifier = await tinyClassifier(tenant, 3);
    const job = await leased({ classifier });
    const [first] = await examplesOf(classifier);
    const before = await job.head([first!]);
    const base = Float32Array.from({ length: DIMENSION }, (_, i) => i);
    const late = { id: deps.newId('example'), labels: ['pear'], base, tuned: null, sha256: '3'.repeat(64), contentType: 'image/png' };
    const object = deps.classifier(classifier);
    await object.enroll([{ ...late, objectKey: 'tests/late', externalId: null }], []);
    expect(await job.head([first!])).toEqual(before);
    // Forgetting an example takes the stored head of the version with it; brought back, it has a new number and the examples that it had.
    await object.deleteExample(first!);
    expect(await object.activateVersion(job.incumbent!.version)).toMatchObject({ ok: true, value: { kind: 'restored' } });
    const { version } = (await object.describe())!;
    expect(await object.headWithout(version, [deps.newId('example')])).toEqual(await served(classifier));
    expect(await object.headWithout(version, [late.id])).toEqual(before);
  });

  it('is that of the classifier that is transferred from where the own one serves nothing', async () => {
    const source = await tinyClassifier(tenant, 3);
    const job = await leased({ source_classifier: source, classifier: await tinyClassifier(tenant, 0) });
    const [first] = await examplesOf(source);
    const without = await job.head([first!]);
    await deps.classifier(source).deleteExample(first!);
    expect(without).toEqual(await served(source));
    expect(decodeHead(without!).labels).toEqual(['apple', 'pear']);
  });

  it('is left as it is where a job made it, from more rows than are kept; what was enrolled since is solved again', async () => {
    const classifier = await tinyClassifier(tenant, 3);
    const job = await leased({ classifier });
    const files = await trainedFiles(job.id);
    await sendFiles(job.token, files);
    const done = await runner(`leases/${job.token}/complete`, await completionOf(files, heldOutOf(200, { candidate: 195, incumbent: 120 })));
    expect(await answer(done, 200, CompleteResponse)).toMatchObject({ decision: 'promoted' });
    const [first] = await examplesOf(classifier);
    expect(await (await leased({ classifier })).head([first!])).toBeNull();
    await clearQueue();
    const base = Float32Array.from({ length: DIMENSION }, (_, i) => i);
    const more = { id: deps.newId('example'), labels: ['pear'], base, tuned: null, sha256: '4'.repeat(64), contentType: 'image/png' };
    await deps.classifier(classifier).enroll([{ ...more, objectKey: 'tests/more', externalId: null }], []);
    const again = await leased({ classifier });
    const without = await again.head([first!]);
    await deps.classifier(classifier).deleteExample(first!);
    expect(without).toEqual(await served(classifier));
  });

  it('can be had without rows of a dataset that it was trained on before: they are told with their digests, as long as there is that dataset', async () => {
    const classifier = await tinyClassifier(tenant, 3);
    const { id: before } = await readyDataset(key);
    const job = await leased({ classifier, dataset: before });
    const files = await trainedFiles(job.id);
    await sendFiles(job.token, files);
    const done = await runner(`leases/${job.token}/complete`, await completionOf(files, heldOutOf(200, { candidate: 195, incumbent: 120 })));
    expect(await answer(done, 200, CompleteResponse)).toMatchObject({ decision: 'promoted' });
    const base = Float32Array.from({ length: DIMENSION }, (_, i) => i);
    const more = { id: deps.newId('example'), labels: ['pear'], base, tuned: null, sha256: '5'.repeat(64), contentType: 'image/png' };
    await deps.classifier(classifier).enroll([{ ...more, objectKey: 'tests/more', externalId: null }], []);

    const now = await leased({ classifier });
    const kept = (await deps.classifier(classifier).listExamples({ limit: 100, after: null, label: null })).data.filter(
      (e) => e.source === 'dataset',
    );
    expect(kept.length).toBeGreaterThan(0);
    const [of, ...others] = now.taught;
    expect(others).toEqual([]);
    expect(of).toMatchObject({ dataset: before, rows: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown } });
    expect((await fetch(of!.rows.url)).status).toBe(200);
    const told = of!.examples.map(({ id, row }) => `${id} ${before}#${row}`);
    expect(told.toSorted()).toEqual(kept.map((e) => `${e.id} ${e.externalId}`).toSorted());
    const without = await now.head([kept[0]!.id]);
    expect(without).not.toEqual(await served(classifier));
    await deps.classifier(classifier).deleteExample(kept[0]!.id);
    expect(without).toEqual(await served(classifier));

    await clearQueue();
    expect((await call(`/v1/datasets/${before}`, { key, method: 'DELETE' })).status).toBe(204);
    expect((await leased({ classifier })).taught).toEqual([]);
  });

  it('is none where nothing would be left, and is for who holds the lease alone', async () => {
    const classifier = await tinyClassifier(tenant, 2);
    const job = await leased({ classifier });
    expect(await job.head(await examplesOf(classifier))).toBeNull();
    await problem(await runner('leases/lease_unknown/incumbent', { version: 1, without: ['ex_1'] }), 'stale_lease');
    await problem(await job.ask([]), 'invalid_request');
    await problem(await (await leased({})).ask(['ex_1']), 'unprocessable');
  });
});
