/** A trained version of several labels enters its classifier with every label of its rows, those that have none of them too. */
import { expect, it } from 'vitest';
import { decodeHead, encodeHead } from '../../shared/head-file.ts';
import { encodeSafetensors, tensor } from '../../shared/safetensors.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';
import { newTenant } from '../setup/harness.ts';
import { deps, DIMENSION, publishTinyBackbone, tinyClassifier, trainedFiles } from '../setup/training.ts';

/** Near the axes of its labels; what has none of them lies on an axis of its own. */
const showing = (own: readonly number[], seed: number): Float32Array =>
  Float32Array.from({ length: DIMENSION }, (_, i) => ((own.length > 0 ? own : [5]).includes(i) ? 1 : 0) + 0.15 * Math.sin(7 * i + 13 * seed));
const SETS = [[0], [1], [0, 1], []];

async function put(name: string, bytes: Uint8Array): Promise<string> {
  const key = `tests/${crypto.randomUUID()}/${name}`;
  await deps.objects.put(key, bytes);
  return key;
}

/** A job's files: five rows of each set, and one that nobody labelled. */
async function trained(comparedWith: number) {
  const job = deps.newId('job');
  const [head] = await trainedFiles(job);
  const rows = [
    ...SETS.flatMap((own, s) => Array.from({ length: 5 }, (_, i) => ({ own, base: showing(own, s + 11 * i) }))),
    { own: null, base: showing([0], 3) },
  ];
  const n = rows.length;
  const embeddings = encodeSafetensors({
    base: tensor('F32', [n, DIMENSION], Float32Array.from(rows.flatMap(({ base }) => [...base]))),
    labels: tensor(
      'I32',
      [n],
      Int32Array.from(rows, ({ own }) => (own ? 0 : -1)),
    ),
    rows: tensor('I32', [n], Int32Array.from(rows.keys())),
    present: tensor('U8', [n, 2], Uint8Array.from(rows.flatMap(({ own }) => [0, 1].map((c) => (own?.includes(c) ? 1 : 0))))),
  });
  return {
    job,
    model: deps.newId('model'),
    backbone: 'tiny-image',
    headKey: await put('head.safetensors', encodeHead({ ...decodeHead(head!.bytes), task: 'multi_label' })),
    embeddingsKey: await put('embeddings.safetensors', embeddings),
    datasetId: 'ds_test',
    enrolledIds: [],
    evidence: {},
    comparedWith,
    activate: true,
  };
}

it('and what is enrolled on top is solved from all of them', async () => {
  await publishTinyBackbone();
  const object = deps.classifier(await tinyClassifier((await newTenant()).tenant, 0, 'multi_label'));
  const { version } = (await object.describe())!;
  const taken = await object.takeTrained(await trained(version));
  if (!taken.ok) throw new Error(taken.detail);
  expect(taken.value).toMatchObject({ activated: true });
  const { data } = await object.listExamples({ limit: 100, after: null, label: null });
  expect(data.map((e) => e.labels.join()).toSorted()).toEqual(
    Array.from({ length: 5 }, () => ['', 'apple', 'apple,pear', 'pear'])
      .flat()
      .toSorted(),
  );
  expect((await object.describe())!.labels.map((l) => l.examples)).toEqual([10, 10]);

  const more = { id: deps.newId('example'), labels: ['apple'], base: showing([0], 99), tuned: null, sha256: '3'.repeat(64) };
  const enrolled = await object.enroll([{ ...more, contentType: 'image/png', objectKey: 'tests/more', externalId: null }], []);
  expect(enrolled.ok).toBe(true);
  const served = await object.servedHead(null);
  if ('unchanged' in served || !served.head) throw new Error('expected a head');
  const head = decodeHead(served.head);
  expect(head.task).toBe('multi_label');
  expect(head.support?.labelOf.length).toBe(21);
  for (const [s, own] of SETS.entries())
    for (const seed of [500, 600, 700])
      expect(scoreHead(head, { base: showing(own, seed + s), tuned: null }).labels.toSorted(), own.join()).toEqual(
        own.map((c) => ['apple', 'pear'][c]),
      );
});
