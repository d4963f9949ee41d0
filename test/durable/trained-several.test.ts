/** A trained version of several labels enters a classifier: its rows, those of no label among them, are what later versions are solved from. */
import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { decodeHead } from '../../shared/head-file.ts';
import { Report } from '../../shared/wire/report.ts';
import { servedMembers } from '../../functions/durable/served-members.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';
import { bindings, newTenant } from '../setup/harness.ts';
import { deps, DIMENSION, LABELS, publishTinyBackbone, tinyClassifier, trainedFiles, trainedLabels } from '../setup/training.ts';

const value = <T>(outcome: { ok: true; value: T } | { ok: false; detail: string }): T => {
  if (!outcome.ok) throw new Error(outcome.detail);
  return outcome.value;
};
/** What a row of these labels looks like, with a little noise. */
const showing = (own: readonly number[], seed = 0): Float32Array =>
  Float32Array.from({ length: DIMENSION }, (_, j) => (own.includes(j) ? 1 : 0.05) + 0.005 * Math.sin(7 * j + 3 * seed));

async function trainedJob(comparedWith: number, task: 'single_label' | 'multi_label' = 'multi_label') {
  const job = deps.newId('job');
  const files = await trainedFiles(job, { task });
  const put = async (name: string): Promise<string> => {
    const key = `tests/${job}/${name}`;
    await deps.objects.put(key, files.find((f) => f.name === name)!.bytes);
    return key;
  };
  return {
    job,
    model: deps.newId('model'),
    backbone: 'tiny-image',
    headKey: await put('head.safetensors'),
    embeddingsKey: await put('embeddings.safetensors'),
    datasetId: 'ds_test',
    enrolledIds: [],
    evidence: null,
    comparedWith,
    activate: true,
  };
}

async function taught() {
  await publishTinyBackbone();
  const id = await tinyClassifier((await newTenant()).tenant, 3, 'multi_label');
  const object = deps.classifier(id);
  const { version } = (await object.describe())!;
  return { id, object, version, headOf: async (n: number) => decodeHead(value(await object.headOf(n)).head!) };
}

describe('a trained version of several labels', () => {
  it('brings its rows with all of their labels, and with none', async () => {
    const { object, version, headOf } = await taught();
    const taken = value(await object.takeTrained(await trainedJob(version)));
    expect(taken).toMatchObject({ activated: true, version: version + 1 });
    expect((await headOf(taken.version)).task).toBe('multi_label');
    const { data } = await object.listExamples({ limit: 100, after: null, label: null });
    const learnt = data.filter((e) => e.source === 'dataset');
    const named = Object.fromEntries(learnt.map((e) => [e.externalId, e.labels]));
    expect(named).toEqual(
      Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`ds_test#${i}`, trainedLabels(i, 'multi_label').map((c) => LABELS[c]!)])),
    );
    expect((await object.describe())!.labels.map((l) => [l.name, l.examples])).toEqual([
      ['apple', 7],
      ['pear', 7],
    ]);
  });

  it('is learnt on from: what has no label stays without', async () => {
    const { object, version, headOf } = await taught();
    value(await object.takeTrained(await trainedJob(version)));
    const example = { tuned: null, contentType: null, objectKey: null, externalId: null };
    const grape = (i: number) => ({ ...example, id: deps.newId('example'), labels: ['grape'], base: showing([2], i), sha256: `${i}`.repeat(64) });
    const { version: next } = value(await object.enroll([grape(1), grape(2), grape(3)], [{ name: 'grape', embedding: null }]));
    const head = await headOf(next);
    // 6 enrolled, 8 trained on, 3 now.
    expect(head.support?.labelOf.length).toBe(17);
    expect([...head.support!.labelOf].filter((c) => c === -1)).toHaveLength(2);
    for (const own of [[], [0], [1], [0, 1], [2]]) {
      const said = scoreHead(head, { base: showing(own, 9), tuned: null });
      expect(said.labels.toSorted(), own.join()).toEqual(own.map((c) => [...LABELS, 'grape'][c]!));
      // Nearest to one without a label is no label.
      expect(said.nearest?.label ?? null).toBe(own.length === 0 ? null : said.nearest!.label);
    }
    expect(scoreHead(head, { base: showing([], 9), tuned: null }).nearest).toBeNull();
  });

  it('is reported with every row of its', async () => {
    const { object, version } = await taught();
    value(await object.takeTrained(await trainedJob(version)));
    const report = Report.omit({ classifier: true }).parse(await object.report());
    expect(report.left_out?.rows).toBe(14);
    expect(report.left_out!.accuracy).toBeGreaterThan(0.8);
    expect(report.per_class.map((c) => [c.label, c.rows])).toEqual([
      ['apple', 7],
      ['pear', 7],
    ]);
    expect(report.reliability.reduce((sum, b) => sum + b.rows, 0)).toBe(14 * 2);
  });

  it('is what later predictions are compared with, in its rows of no label too', async () => {
    const { id, object, version } = await taught();
    value(await object.takeTrained(await trainedJob(version)));
    const stub = bindings.CLASSIFIER.get(bindings.CLASSIFIER.idFromName(id));
    const members = await runInDurableObject(stub, (_, state) => servedMembers(state.storage.sql).members.map((m) => m.labels.join()));
    expect(members.filter((labels) => labels === '')).toHaveLength(2);
    expect(members).toHaveLength(14);
  });

  it('is told apart from an example that says otherwise', async () => {
    const { object, version } = await taught();
    value(await object.takeTrained(await trainedJob(version)));
    const base = new Float32Array(DIMENSION).fill(0.05);
    const example = { id: deps.newId('example'), labels: ['apple'], base, tuned: null, sha256: '9'.repeat(64), contentType: null, objectKey: null };
    const { warnings } = value(await object.enroll([{ ...example, externalId: null }], []));
    expect(warnings[0]!.find((w) => w.code === 'label_conflict')?.detail).toContain(
      'nearly the same content (similarity 1.000) and none of the labels',
    );
  });

  it('keeps the temperature that training measured out of fold', async () => {
    const { object, version, headOf } = await taught();
    const taken = value(await object.takeTrained(await trainedJob(version)));
    const before = await headOf(taken.version);
    const label = value(await object.updateLabel('pear', { name: 'pears' }));
    expect((await headOf(label.version)).temperature).toBeCloseTo(before.temperature, 6);
  });

  it('is not taken by a classifier of single labels, nor the reverse', async () => {
    await publishTinyBackbone();
    const one = deps.classifier(await tinyClassifier((await newTenant()).tenant, 3));
    const { version } = (await one.describe())!;
    expect(await one.takeTrained(await trainedJob(version))).toMatchObject({
      ok: false,
      code: 'unprocessable',
      detail: expect.stringContaining('multi_label'),
    });
    const { object, version: own } = await taught();
    expect(await object.takeTrained(await trainedJob(own, 'single_label'))).toMatchObject({ ok: false, code: 'unprocessable' });
  });
});
