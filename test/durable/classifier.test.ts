/** One classifier's Durable Object: many writers at once, restarts, forgetting, and trained versions. */
import { evictDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { decodeHead, encodeHead } from '../../shared/head-file.ts';
import type { Head } from '../../shared/head.ts';
import { VERSIONS_KEPT } from '../../shared/limits.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Classifier, Version } from '../../shared/wire/classifiers.ts';
import { DeletedExample, EnrollAnswer, Example } from '../../shared/wire/examples.ts';
import { Prediction } from '../../shared/wire/predictions.ts';
import { answer, bindings, call, newTenant } from '../setup/harness.ts';
import { deps, publishTinyBackbone, tinyClassifier, trainedFiles } from '../setup/training.ts';

const D = 4;
/** A vector of its own for every number, near the axis of its class. */
const vectorOf = (axis: number, i: number) => Array.from({ length: D }, (_, j) => (j === axis ? 1 : 0) + 0.2 * Math.sin(i * 13.7 + j * 5.1));

async function newClassifier(key: string): Promise<string> {
  const json = { name: 'busy', modality: 'vector', dimension: D, unknown: { false_reject_rate: 0.05 } };
  return (await answer(await call('/v1/classifiers', { key, json }), 201, Classifier)).id;
}

async function enroll(key: string, id: string, examples: object[]): Promise<EnrollAnswer> {
  return await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
}

async function headOf(id: string, version: number): Promise<Head> {
  const found = await deps.classifier(id).headOf(version);
  if (!found.ok || !found.value.head) throw new Error(`version ${version} has no head`);
  return decodeHead(found.value.head);
}

/** The largest difference between two heads that claim to be the same; infinite when they do not even hold as many rows. */
function difference(a: Head, b: Head): number {
  expect([...a.labels].toSorted((x, y) => (x < y ? -1 : 1))).toEqual([...b.labels].toSorted((x, y) => (x < y ? -1 : 1)));
  expect(a.components.map((c) => c.name)).toEqual(b.components.map((c) => c.name));
  if (a.support?.labelOf.length !== b.support?.labelOf.length) return Infinity;
  const place = a.labels.map((label) => b.labels.indexOf(label));
  let worst = Math.abs(a.temperature - b.temperature);
  for (const [k, one] of a.components.entries()) {
    const other = b.components[k]!;
    worst = Math.max(worst, Math.abs(one.mix - other.mix));
    for (const [c, at] of place.entries()) {
      worst = Math.max(worst, Math.abs(one.bias[c]! - other.bias[at]!));
      const columns = one.weight.length / a.labels.length;
      for (let i = 0; i < columns; i++) worst = Math.max(worst, Math.abs(one.weight[c * columns + i]! - other.weight[at * columns + i]!));
    }
  }
  // What a kernel's weights belong to, and what the open-set rule compares with.
  for (const part of ['rows', 'factor'] as const) {
    for (const [i, v] of (a.support?.[part] ?? []).entries()) worst = Math.max(worst, Math.abs(v - b.support![part][i]!));
  }
  expect(a.openSet === null).toBe(b.openSet === null);
  return Math.max(worst, Math.abs((a.openSet?.threshold ?? 0) - (b.openSet?.threshold ?? 0)));
}

describe('writers side by side', () => {
  it('loses none of 50 concurrent enrollments, and every version that it answers is right', async () => {
    const { key } = await newTenant();
    const id = await newClassifier(key);
    const made = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const { version, data } = await enroll(key, id, [{ label: `class-${i % 5}`, vector: vectorOf(i % D, i), external_id: `client-${i}` }]);
        return { i, version, example: data[0]!.id };
      }),
    );
    // Every write is a version of its own.
    expect(new Set(made.map((m) => m.version)).size).toBe(50);
    expect(new Set(made.map((m) => m.example)).size).toBe(50);
    const listed = await answer(await call(`/v1/classifiers/${id}/examples?limit=100`, { key }), 200, listOf(Example, 'ExampleList'));
    expect(listed.data.map((e) => e.external_id ?? '').toSorted()).toEqual(Array.from({ length: 50 }, (_, i) => `client-${i}`).toSorted());
    // A version holds what was written up to it and nothing else: its support is exactly that many rows.
    const order = made.toSorted((a, b) => a.version - b.version);
    for (const [n, { version, i }] of order.entries()) {
      if (order.at(-1)!.version - version >= VERSIONS_KEPT) continue;
      const head = await headOf(id, version);
      expect(head.support?.labelOf.length).toBe(n + 1);
      expect(head.labels).toContain(`class-${i % 5}`);
    }
    const now = await answer(await call(`/v1/classifiers/${id}`, { key }), 200, Classifier);
    expect(now.version).toBe(order.at(-1)!.version);
    expect(now.labels.map((l) => l.examples)).toEqual([10, 10, 10, 10, 10]);
  });

  it('shows each writer its own write while others write', async () => {
    const { key } = await newTenant();
    const id = await newClassifier(key);
    await Promise.all(
      Array.from({ length: 12 }, async (_, i) => {
        const { version } = await enroll(key, id, [{ label: `mine-${i}`, vector: vectorOf(i % D, i) }]);
        const json = { vector: vectorOf(i % D, i), min_version: version };
        const seen = await answer(await call(`/v1/classifiers/${id}/predict`, { key, json }), 200, Prediction);
        expect(seen.version).toBeGreaterThanOrEqual(version);
        expect(seen.scores.map((s) => s.label)).toContain(`mine-${i}`);
      }),
    );
  });
});

describe('what survives', () => {
  it('answers the same after the object was thrown out of memory', async () => {
    const { key } = await newTenant();
    const id = await newClassifier(key);
    const examples = Array.from({ length: 12 }, (_, i) => ({ label: `class-${i % 3}`, vector: vectorOf(i % 3, i) }));
    const { version } = await enroll(key, id, examples);
    const before = await headOf(id, version);
    const stub = bindings.CLASSIFIER.get(bindings.CLASSIFIER.idFromName(id));
    await evictDurableObject(stub);
    expect(difference(await headOf(id, version), before)).toBe(0);
    const next = await enroll(key, id, [{ label: 'class-0', vector: vectorOf(0, 99) }]);
    expect(next.version).toBe(version + 1);
    expect((await headOf(id, next.version)).support?.labelOf.length).toBe(13);
  });

  it('enrolls nothing of a request that fails', async () => {
    const { tenant } = await newTenant();
    await publishTinyBackbone();
    const id = await tinyClassifier(tenant, 2);
    const object = deps.classifier(id);
    const before = await object.describe();
    const example = (length: number) => ({
      id: deps.newId('example'),
      labels: ['apple'],
      base: new Float32Array(length).fill(1),
      tuned: null,
      sha256: '2'.repeat(64),
      contentType: null,
      objectKey: null,
      externalId: null,
    });
    expect(await object.enroll([example(8), example(7)], [])).toMatchObject({ ok: false, code: 'unprocessable' });
    expect(await object.describe()).toEqual(before);
  });

  it('keeps the last versions and drops the oldest', async () => {
    const { key } = await newTenant();
    const id = await newClassifier(key);
    let last = 0;
    for (let i = 0; i < VERSIONS_KEPT + 10; i++) ({ version: last } = await enroll(key, id, [{ label: `c${i % 2}`, vector: vectorOf(i % 2, i) }]));
    const versions = await deps.classifier(id).listVersions();
    expect(versions).toHaveLength(VERSIONS_KEPT);
    expect(versions.map((v) => v.n)).toContain(last);
    const oldest = Math.min(...versions.map((v) => v.n));
    const back = await call(`/v1/classifiers/${id}/versions/${oldest}/activate`, { key, method: 'POST' });
    expect(await answer(back, 200, Version)).toMatchObject({ active: true, kind: 'instant' });
  });
});

describe('forgetting', () => {
  it('leaves the head as if the example had never been there, to 1e-5', async () => {
    const { key } = await newTenant();
    const rows = Array.from({ length: 18 }, (_, i) => ({ label: `class-${i % 3}`, vector: vectorOf(i % 3, i) }));
    const [forgetful, innocent] = [await newClassifier(key), await newClassifier(key)];
    const bad = await enroll(key, forgetful, [...rows.slice(0, 9), { label: 'class-0', vector: vectorOf(1, 77) }, ...rows.slice(9)]);
    const path = `/v1/classifiers/${forgetful}/examples/${bad.data[9]!.id}`;
    const misled = await headOf(forgetful, bad.version);
    const gone = await answer(await call(path, { key, method: 'DELETE' }), 200, DeletedExample);
    const never = await enroll(key, innocent, rows);
    const [after, expected] = [await headOf(forgetful, gone.version), await headOf(innocent, never.version)];
    expect(difference(misled, expected)).toBeGreaterThan(1e-3);
    expect(difference(after, expected)).toBeLessThan(1e-5);
  });

  it('brings a version back without what was forgotten since', async () => {
    const { key } = await newTenant();
    const rows = Array.from({ length: 8 }, (_, i) => ({ label: `class-${i % 2}`, vector: vectorOf(i % 2, i) }));
    const id = await newClassifier(key);
    const first = await enroll(key, id, rows);
    await enroll(key, id, [{ label: 'later', vector: vectorOf(3, 5) }]);
    await answer(await call(`/v1/classifiers/${id}/examples/${first.data[3]!.id}`, { key, method: 'DELETE' }), 200, DeletedExample);
    const back = await answer(await call(`/v1/classifiers/${id}/versions/${first.version}/activate`, { key, method: 'POST' }), 200, Version);
    const innocent = await newClassifier(key);
    const never = await enroll(
      key,
      innocent,
      rows.filter((_, i) => i !== 3),
    );
    expect(difference(await headOf(id, back.n), await headOf(innocent, never.version))).toBeLessThan(1e-5);
  });
});

describe('trained versions', () => {
  const put = async (name: string, bytes: Uint8Array) => {
    const key = `tests/${crypto.randomUUID()}/${name}`;
    await deps.objects.put(key, bytes);
    return key;
  };
  async function trained(comparedWith: number, activate = true) {
    const job = deps.newId('job');
    const files = await trainedFiles(job);
    const file = (name: string) => files.find((f) => f.name === name)!.bytes;
    return {
      job,
      model: deps.newId('model'),
      backbone: 'tiny-image',
      headKey: await put('head.safetensors', file('head.safetensors')),
      embeddingsKey: await put('embeddings.safetensors', file('embeddings.safetensors')),
      datasetId: 'ds_test',
      enrolledIds: [],
      evidence: { accuracy: 0.9 },
      comparedWith,
      activate,
    };
  }
  /** The same head with its tuned part given no weight: what a job leaves when tuning did not help. */
  const withoutTuned = async (key: string) => {
    const head = decodeHead((await deps.objects.get(key))!);
    return encodeHead({ ...head, components: head.components.map((k) => ({ ...k, mix: k.embedding === 'tuned' ? 0 : 1 })) });
  };
  const value = <T>(outcome: { ok: true; value: T } | { ok: false; detail: string }): T => {
    if (!outcome.ok) throw new Error(outcome.detail);
    return outcome.value;
  };

  it('takes a job once, however often it is told', async () => {
    await publishTinyBackbone();
    const id = await tinyClassifier((await newTenant()).tenant, 3);
    const object = deps.classifier(id);
    const { version } = (await object.describe())!;
    const job = await trained(version);
    const answers = await Promise.all([1, 2, 3].map(async () => value(await object.takeTrained(job))));
    expect(answers[0]).toMatchObject({ activated: true, version: version + 1, activeVersion: version + 1, reason: null });
    expect(answers).toEqual([answers[0], answers[0], answers[0]]);
    const versions = await object.listVersions();
    expect(versions.filter((v) => v.kind === 'trained')).toHaveLength(1);
  });

  it('serves the trained head, and the old one again after a rollback', async () => {
    await publishTinyBackbone();
    const object = deps.classifier(await tinyClassifier((await newTenant()).tenant, 3));
    const { version } = (await object.describe())!;
    const old = await object.servedHead(null);
    const taken = value(await object.takeTrained(await trained(version)));
    const served = await object.servedHead(version);
    if ('unchanged' in served || 'unchanged' in old) throw new Error('expected a head');
    expect(served.version).toBe(taken.version);
    expect(decodeHead(served.head!).temperature).toBeCloseTo(0.1, 6);
    expect(value(await object.activateVersion(version)).n).toBe(version);
    const again = await object.servedHead(taken.version);
    if ('unchanged' in again) throw new Error('expected a head');
    expect([...again.head!]).toEqual([...old.head!]);
  });

  it('changes nothing when somebody chose another version meanwhile', async () => {
    await publishTinyBackbone();
    const object = deps.classifier(await tinyClassifier((await newTenant()).tenant, 3));
    const { version } = (await object.describe())!;
    const job = await trained(version);
    const chosen = value(await object.activateVersion(version - 1));
    const taken = value(await object.takeTrained(job));
    expect(taken).toMatchObject({ activated: false, activeVersion: chosen.n });
    expect(taken.reason).toContain('Another version');
  });

  it('keeps a refused candidate that can be activated by hand', async () => {
    await publishTinyBackbone();
    const object = deps.classifier(await tinyClassifier((await newTenant()).tenant, 3));
    const { version } = (await object.describe())!;
    const taken = value(await object.takeTrained(await trained(version, false)));
    expect(taken).toMatchObject({ activated: false, activeVersion: version });
    const chosen = value(await object.activateVersion(taken.version));
    expect(chosen.active).toBe(true);
    expect((await object.describe())!.version).toBe(chosen.n);
  });

  it('learns on from the rows of a refused candidate once it is activated, tuned or not', async () => {
    await publishTinyBackbone();
    for (const tuned of [true, false]) {
      const object = deps.classifier(await tinyClassifier((await newTenant()).tenant, 3));
      const before = (await object.describe())!;
      const job = await trained(before.version, false);
      if (!tuned) job.headKey = await put('head.safetensors', await withoutTuned(job.headKey));
      const { version } = value(await object.takeTrained(job));
      const enrolled = (await object.listExamples({ limit: 100, after: null, label: null })).data.length;
      value(await object.activateVersion(version));
      const { data } = await object.listExamples({ limit: 100, after: null, label: null });
      expect(data.filter((e) => e.source === 'dataset').length, `tuned ${tuned}`).toBeGreaterThan(0);
      expect(data.filter((e) => e.source === 'enrolled')).toHaveLength(enrolled);
      // Everything that it was trained on has a label of the classifier.
      const names = new Set((await object.describe())!.labels.map((l) => l.name));
      for (const { labels } of data) for (const label of labels) expect(names.has(label), label).toBe(true);
    }
  });

  it('says so when the model of a candidate was deleted, instead of failing', async () => {
    await publishTinyBackbone();
    const object = deps.classifier(await tinyClassifier((await newTenant()).tenant, 3));
    const { version } = (await object.describe())!;
    const job = await trained(version, false);
    const taken = value(await object.takeTrained(job));
    await deps.objects.delete([job.embeddingsKey]);
    const outcome = await object.activateVersion(taken.version);
    expect(outcome).toMatchObject({ ok: false, code: 'conflict', detail: expect.stringContaining('was deleted') });
    expect((await object.describe())!.version).toBe(version);
  });
});
