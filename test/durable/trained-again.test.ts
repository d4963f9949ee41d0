/** Trained versions among other changes: one job after another, rollbacks before a job, and examples that are forgotten while it runs or afterwards. */
import { describe, expect, it } from 'vitest';
import { decodeHead, encodeHead } from '../../shared/head-file.ts';
import type { Head } from '../../shared/head.ts';
import type { NewExample, Outcome, TrainedVersion } from '../../functions/domain/classifier-object.ts';
import { newTenant } from '../setup/harness.ts';
import { deps, DIMENSION, LABELS, publishTinyBackbone, tinyClassifier, trainedFiles } from '../setup/training.ts';

const value = <T>(outcome: Outcome<T>): T => {
  if (!outcome.ok) throw new Error(outcome.detail);
  return outcome.value;
};

async function stored(name: string, bytes: Uint8Array): Promise<string> {
  const key = `tests/${crypto.randomUUID()}/${name}`;
  await deps.objects.put(key, bytes);
  return key;
}

/** A head of eight rows of a dataset. `labels`: which it has. */
async function trained(comparedWith: number, more: Partial<TrainedVersion> & { readonly labels?: readonly string[] } = {}): Promise<TrainedVersion> {
  const job = deps.newId('job');
  const { labels, ...given } = more;
  const files = await trainedFiles(job, labels ? { labels } : {});
  const file = (name: string): Uint8Array => files.find((f) => f.name === name)!.bytes;
  return {
    job,
    model: deps.newId('model'),
    backbone: 'tiny-image',
    headKey: await stored('head.safetensors', file('head.safetensors')),
    embeddingsKey: await stored('embeddings.safetensors', file('embeddings.safetensors')),
    datasetId: 'ds_test',
    enrolledIds: [],
    evidence: null,
    comparedWith,
    activate: true,
    ...given,
  };
}

const exampleOf = (label: string, i: number): NewExample => ({
  id: deps.newId('example'),
  labels: [label],
  base: Float32Array.from({ length: DIMENSION }, (_, j) => (j === 5 ? 1 : 0.2 * Math.sin(i * 3.1 + j))),
  tuned: null,
  sha256: `${i}`.padStart(64, '0'),
  contentType: null,
  objectKey: null,
  externalId: null,
});

async function taught() {
  await publishTinyBackbone();
  const object = deps.classifier(await tinyClassifier((await newTenant()).tenant, 3));
  const version = async (): Promise<number> => (await object.describe())!.version;
  const headOf = async (n: number): Promise<Head | null> => {
    const { head } = value(await object.headOf(n));
    return head && decodeHead(head);
  };
  const examples = async () => (await object.listExamples({ limit: 100, after: null, label: null })).data;
  return { object, version, headOf, examples };
}

describe('a job that was compared with the version being served', () => {
  it('is promoted right after another one was', async () => {
    const { object, version } = await taught();
    const first = value(await object.takeTrained(await trained(await version())));
    expect(await version()).toBe(first.version);
    const second = value(await object.takeTrained(await trained(first.version)));
    expect(second).toMatchObject({ activated: true, activeVersion: second.version, reason: null });
  });

  it('is promoted after a rollback to that version', async () => {
    const { object, version } = await taught();
    const good = await version();
    value(await object.enroll([exampleOf('pear', 1)], []));
    value(await object.activateVersion(good));
    const taken = value(await object.takeTrained(await trained(good)));
    expect(taken).toMatchObject({ activated: true, reason: null });
    // What was enrolled meanwhile joins at once.
    expect(taken.activeVersion).toBe(taken.version + 1);
  });

  it('is not promoted when another job was meanwhile, after a rollback either', async () => {
    const { object, version } = await taught();
    const good = await version();
    value(await object.enroll([exampleOf('pear', 1)], []));
    value(await object.activateVersion(good));
    const [one, other] = [await trained(good), await trained(good)];
    expect(value(await object.takeTrained(one)).activated).toBe(true);
    expect(value(await object.takeTrained(other))).toMatchObject({ activated: false, reason: expect.stringContaining('Another version') });
  });
});

describe('an adaptation', () => {
  /** Everything looks like an apple there, until it is known that everything does. */
  const elsewhere = Array.from({ length: 16 }, (_, i) => ({
    base: Float32Array.from({ length: DIMENSION }, (_v, j) => (j === i % 2 ? 1 : 0.1 * ((i + j) % 3)) + (j === 0 ? 2 : 0)),
    tuned: null,
    labels: [LABELS[i % 2]!],
  }));

  it('that was made while a job trained is not undone by it', async () => {
    const { object, version } = await taught();
    const job = await trained(await version());
    const adapted = value(await object.adapt(elsewhere, { model: null, source: null }));
    expect(adapted.kind).toBe('adapted');
    const taken = value(await object.takeTrained(job));
    expect(taken).toMatchObject({ activated: false, activeVersion: adapted.n, reason: expect.stringContaining('Another version') });
  });

  it('is what a later job is compared with, and may give way to', async () => {
    const { object } = await taught();
    const adapted = value(await object.adapt(elsewhere, { model: null, source: null }));
    expect(value(await object.takeTrained(await trained(adapted.n))).activated).toBe(true);
  });
});

describe('an example that is forgotten while a job trains on it', () => {
  it('comes back in no head: the trained one is solved again without it', async () => {
    for (const activate of [true, false]) {
      const { object, version, headOf, examples } = await taught();
      const { id } = (await examples())[0]!;
      const job = await trained(await version(), { activate, enrolledIds: [id] });
      value(await object.deleteExample(id));
      const taken = value(await object.takeTrained(job));
      expect(await headOf(taken.version), `activate ${activate}`).toBeNull();
      const back = value(await object.activateVersion(taken.version));
      expect(back.kind).toBe('restored');
      // Five that are left of six, and the eight rows of the job.
      expect((await headOf(back.n))!.support!.labelOf.length, `activate ${activate}`).toBe(13);
    }
  });

  it('does not bring back its label, which was deleted with it', async () => {
    const { object, version, examples } = await taught();
    value(await object.enroll([exampleOf('grape', 1)], [{ name: 'grape', embedding: null }]));
    const { id } = (await examples()).find((e) => e.labels.includes('grape'))!;
    const job = await trained(await version(), { labels: ['apple', 'pear', 'grape'], enrolledIds: [id] });
    value(await object.deleteLabel('grape'));
    expect(value(await object.takeTrained(job)).activated).toBe(true);
    expect((await object.describe())!.labels.map((l) => l.name)).toEqual(['apple', 'pear']);
  });
});

describe('a version that is solved again', () => {
  it('has the rows of a refused candidate, without what was forgotten before it was activated', async () => {
    const { object, version, headOf, examples } = await taught();
    const { id } = (await examples())[0]!;
    const { version: refused } = value(await object.takeTrained(await trained(await version(), { activate: false, enrolledIds: [id] })));
    value(await object.deleteExample(id));
    const back = value(await object.activateVersion(refused));
    expect((await headOf(back.n))!.support!.labelOf.length).toBe(13);
    // And again, when its head is gone a second time.
    value(await object.deleteExample((await examples()).find((e) => e.source === 'enrolled')!.id));
    const again = value(await object.activateVersion(back.n));
    expect((await headOf(again.n))!.support!.labelOf.length).toBe(12);
  });

  it('has the examples of the version that it brought back, not those enrolled before it was', async () => {
    const { object, version, headOf, examples } = await taught();
    const old = await version();
    value(await object.enroll([exampleOf('pear', 1), exampleOf('pear', 2)], []));
    const ids = (await examples()).filter((e) => e.contentType !== null).map((e) => e.id);
    value(await object.deleteExample(ids[0]!));
    const restored = value(await object.activateVersion(old));
    expect((await headOf(restored.n))!.support!.labelOf.length).toBe(5);
    value(await object.deleteExample(ids[1]!));
    const again = value(await object.activateVersion(restored.n));
    expect((await headOf(again.n))!.support!.labelOf.length).toBe(4);
  });

  it('does not bring back a row of a refused candidate that was deleted', async () => {
    const { object, version, headOf, examples } = await taught();
    const before = await version();
    const job = await trained(before, { activate: false });
    const { version: refused } = value(await object.takeTrained(job));
    value(await object.activateVersion(refused));
    const row = (await examples()).find((e) => e.externalId === 'ds_test#3')!;
    value(await object.deleteExample(row.id));
    const again = value(await object.activateVersion(refused));
    expect((await examples()).map((e) => e.externalId)).not.toContain('ds_test#3');
    // Six enrolled and seven rows; the head that saw eight is not served any more.
    expect((await headOf(again.n))!.support!.labelOf.length).toBe(13);
    expect(encodeHead((await headOf(again.n))!)).not.toEqual(await deps.objects.get(job.headKey));
  });
});
