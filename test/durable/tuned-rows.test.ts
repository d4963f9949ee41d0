/** Embeddings of tuned tails beside the shared backbone's: what a classifier keeps of them while its versions come and go. */
import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { decodeHead, encodeHead } from '../../shared/head-file.ts';
import type { Head } from '../../shared/head.ts';
import { encodeSafetensors, tensor } from '../../shared/safetensors.ts';
import type { NewExample, Outcome, TrainedVersion } from '../../functions/domain/classifier-object.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';
import { bindings, newTenant } from '../setup/harness.ts';
import { deps, DIMENSION, LABELS, publishTinyBackbone, tinyClassifier } from '../setup/training.ts';

const value = <T>(outcome: Outcome<T>): T => {
  if (!outcome.ok) throw new Error(outcome.detail);
  return outcome.value;
};
const MIX = 0.7;
const ROWS = 8;

/** As the tail of a model sees something of the `c`-th label: at an axis of its own. */
const tunedOf = (model: 'A' | 'B', c: number, i: number): Float32Array =>
  Float32Array.from({ length: DIMENSION }, (_, j) => (j === (model === 'A' ? 2 + c : 6 + c) ? 1 : 0.1 * Math.sin(5 * i + 3 * j)));
/** The shared backbone tells the labels apart, too. */
const baseOf = (c: number, i: number): Float32Array => Float32Array.from({ length: DIMENSION }, (_, j) => (j === c ? 1 : 0.1 * Math.sin(7 * i + j)));
const matrix = (rows: readonly Float32Array[]) => tensor('F32', [rows.length, DIMENSION], Float32Array.from(rows.flatMap((row) => [...row])));

async function tunedJob(model: 'A' | 'B', comparedWith: number, enrolled: readonly { id: string; labels: readonly string[] }[]) {
  const part = (embedding: 'base' | 'tuned', mix: number): Head['components'][number] => ({
    embedding,
    name: 'ridge',
    transform: 'l2',
    dimension: DIMENSION,
    kernel: null,
    center: new Float32Array(DIMENSION),
    weight: new Float32Array(LABELS.length * DIMENSION).fill(0.1),
    bias: new Float32Array(LABELS.length),
    mix,
  });
  const head: Head = {
    labels: LABELS,
    task: 'single_label',
    components: [part('base', 1 - MIX), part('tuned', MIX)],
    temperature: 0.2,
    openSet: null,
    support: null,
    standardisation: null,
  };
  const all = Array.from({ length: ROWS }, (_, i) => i);
  const files = {
    head: encodeHead(head),
    embeddings: encodeSafetensors({
      base: matrix(all.map((i) => baseOf(i % 2, i))),
      tuned: matrix(all.map((i) => tunedOf(model, i % 2, i))),
      'enrolled.tuned': matrix(enrolled.map(({ labels }, i) => tunedOf(model, LABELS.indexOf(labels[0] as 'apple'), i + ROWS))),
      'background.tuned': matrix(all.map((i) => Float32Array.from({ length: DIMENSION }, (_, j) => Math.cos(11 * i + j)))),
      labels: tensor(
        'I32',
        [ROWS],
        Int32Array.from(all, (i) => i % 2),
      ),
      rows: tensor('I32', [ROWS], Int32Array.from(all)),
    }),
  };
  const job = deps.newId('job');
  const put = async (name: 'head' | 'embeddings'): Promise<string> => {
    await deps.objects.put(`tests/${job}/${name}`, files[name]);
    return `tests/${job}/${name}`;
  };
  return {
    job,
    model: `mdl_${model}${job}`,
    backbone: 'tiny-image',
    headKey: await put('head'),
    embeddingsKey: await put('embeddings'),
    datasetId: 'ds_test',
    enrolledIds: enrolled.map((e) => e.id),
    evidence: null,
    comparedWith,
    activate: true,
  } satisfies TrainedVersion;
}

async function taught() {
  await publishTinyBackbone();
  const id = await tinyClassifier((await newTenant()).tenant, 3);
  const object = deps.classifier(id);
  const train = async (model: 'A' | 'B') => {
    const enrolled = (await object.listExamples({ limit: 100, after: null, label: null })).data.filter((e) => e.source === 'enrolled');
    const job = await tunedJob(model, (await object.describe())!.version, enrolled);
    return { job, taken: value(await object.takeTrained(job)) };
  };
  const enroll = async (c: number, i: number, model: string | null) => {
    const tuned = model === null ? null : { model, embedding: tunedOf('A', c, i) };
    const rest = { sha256: `${i}`.padStart(64, '0'), contentType: null, objectKey: null, externalId: null };
    const example: NewExample = { id: deps.newId('example'), labels: [LABELS[c]!], base: baseOf(c, i), tuned, ...rest };
    return value(await object.enroll([example], [])).version;
  };
  const headOf = async (n: number): Promise<Head> => decodeHead(value(await object.headOf(n)).head!);
  return { id, object, train, enroll, headOf };
}

describe('what a model saw of the examples', () => {
  it('is there again after another model was trained and the version rolled back', async () => {
    const { object, train, enroll, headOf } = await taught();
    const first = await train('A');
    const next = await enroll(0, 50, first.job.model);
    const before = await headOf(next);
    await train('B');
    value(await object.activateVersion(next));
    const after = await headOf(await enroll(1, 51, first.job.model));
    const tuned = (head: Head) => head.components.find((part) => part.embedding === 'tuned')!;
    // Learnt from all of them again, not from the one that was enrolled last: about what it was before.
    const lengths = [before, after].map((head) => Math.hypot(...tuned(head).weight));
    expect(lengths[1]! / lengths[0]!).toBeGreaterThan(0.8);
    for (const c of [0, 1]) {
      const asked = { base: baseOf(1 - c, 60), tuned: tunedOf('A', c, 61) };
      // Where the two disagree, the tuned embedding has the larger part.
      expect(scoreHead(after, asked).label).toBe(LABELS[c]);
    }
  });

  it('is forgotten with an example, of every model', async () => {
    const { id, object, train } = await taught();
    await train('A');
    await train('B');
    const [first] = (await object.listExamples({ limit: 1, after: null, label: null })).data;
    const stub = bindings.CLASSIFIER.get(bindings.CLASSIFIER.idFromName(id));
    const kept = async (): Promise<number> =>
      await runInDurableObject(
        stub,
        (_, { storage }) => storage.sql.exec<{ n: number }>('SELECT count(*) AS n FROM earlier_tuned WHERE example_id = ?', first!.id).one().n,
      );
    expect(await kept()).toBe(1);
    value(await object.deleteExample(first!.id));
    expect(await kept()).toBe(0);
  });
});
