/** Adaptation over HTTP against the real object: a new version that answers better, the way back, learning on top of it, and every refusal. */
import { describe, expect, it } from 'vitest';
import { Classifier, Version } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { PredictionList } from '../../shared/wire/predictions.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';

const D = 32;
const LABELS = ['a', 'b', 'c', 'd'];
type Domain = 'source' | 'target';

/** mulberry32, and normal numbers from it. */
function numbers(seed: number): () => number {
  let a = seed;
  const uniform = (): number => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4_294_967_296;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

function world(seed: number) {
  const next = numbers(seed);
  const vector = (scale: number) => Array.from({ length: D }, () => scale * next());
  const middle = vector(1);
  const centres = LABELS.map(() => vector(0.45));
  const move = vector(1.5);
  return (label: number, domain: Domain): number[] =>
    middle.map((m, j) => m + centres[label]![j]! + 0.5 * next() + (domain === 'target' ? move[j]! : 0));
}
type World = ReturnType<typeof world>;

async function make(key: string, w: World, more: object = {}): Promise<{ id: string; version: number }> {
  const json = { name: 'signals', modality: 'vector', dimension: D, ...more };
  const { id } = await answer(await call('/v1/classifiers', { key, json }), 201, Classifier);
  const examples = Array.from({ length: 40 }, (_, i) => ({ label: LABELS[i % 4], vector: w(i % 4, 'source') }));
  const enrolled = await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
  return { id, version: enrolled.version };
}

const inputs = (w: World, domain: Domain, count: number) => Array.from({ length: count }, (_, i) => ({ vector: w(i % 4, domain) }));
const adapt = async (key: string, id: string, json: object, headers: Record<string, string> = {}) =>
  await call(`/v1/classifiers/${id}/adapt`, { key, json, headers });

async function accuracy(key: string, id: string, vectors: readonly { vector: number[] }[], version: number): Promise<number> {
  const json = { inputs: vectors, min_version: version };
  const { data } = await answer(await call(`/v1/classifiers/${id}/predict`, { key, json }), 200, PredictionList);
  return data.filter((p, i) => p.scores[0]?.label === LABELS[i % 4]).length / data.length;
}

type Evidence = {
  adaptation: { inputs: number; shift: { chance: number }; before: object; after: { labelled_accuracy: number | null }; candidates: object[] };
};

describe('adaptation to a target domain', () => {
  it('answers better in the new domain, and the version before comes back when asked', async () => {
    const w = world(11);
    const { key } = await newTenant();
    const { id, version } = await make(key, w);
    const held = inputs(w, 'target', 60);
    const before = await accuracy(key, id, held, version);
    const adapted = await answer(await adapt(key, id, { inputs: inputs(w, 'target', 40) }), 200, Version);
    expect(adapted).toMatchObject({ kind: 'adapted', n: version + 1, parent: version, active: true, labels: LABELS });
    const evidence = (adapted.evidence as Evidence).adaptation;
    expect(evidence).toMatchObject({ inputs: 40, after: { labelled_accuracy: null } });
    expect(evidence.shift.chance).toBeLessThanOrEqual(0.01);
    expect(evidence.candidates).toHaveLength(3);
    const after = await accuracy(key, id, held, adapted.n);
    expect(after).toBeGreaterThan(before + 0.1);

    const events = await (await call('/v1/events', { key })).json<{ data: { type: string; data: object }[] }>();
    expect(events.data.some((e) => e.type === 'classifier.version.activated' && JSON.stringify(e.data).includes('"adapted"'))).toBe(true);

    const back = await answer(await call(`/v1/classifiers/${id}/versions/${version}/activate`, { key, method: 'POST' }), 200, Version);
    expect(back).toMatchObject({ n: version, active: true });
    expect(await accuracy(key, id, held, 0)).toBe(before);
    await answer(await call(`/v1/classifiers/${id}/versions/${adapted.n}/activate`, { key, method: 'POST' }), 200, Version);
    expect(await accuracy(key, id, held, 0)).toBe(after);
  });

  it('goes on learning and forgetting against the same target', async () => {
    const w = world(12);
    const { key } = await newTenant();
    const { id } = await make(key, w);
    const adapted = await answer(await adapt(key, id, { inputs: inputs(w, 'target', 40) }), 200, Version);
    const held = inputs(w, 'target', 60);
    const examples = LABELS.map((label, i) => ({ label, vector: w(i, 'source') }));
    const more = await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
    expect(more.version).toBe(adapted.n + 1);
    const versions = await answer(await call(`/v1/classifiers/${id}/versions/${more.version}`, { key }), 200, Version);
    expect((versions.evidence as { method: string }).method).toContain('adapted');
    const learnt = await accuracy(key, id, held, more.version);
    expect(learnt).toBeGreaterThan(0.8);
    // Forgetting an example that the adapted version saw solves that version again, still against its target.
    await call(`/v1/classifiers/${id}/examples/${more.data[0]!.id}`, { key, method: 'DELETE' });
    const again = await answer(await call(`/v1/classifiers/${id}/versions/${more.version}/activate`, { key, method: 'POST' }), 200, Version);
    expect(again.kind).toBe('restored');
    expect((again.evidence as { method: string }).method).toContain('adapted');
    expect(await accuracy(key, id, held, again.n)).toBeGreaterThan(0.8);
  });

  it('refuses where there is nothing to adapt to, with the evidence, and changes nothing', async () => {
    const w = world(13);
    const { key } = await newTenant();
    const { id, version } = await make(key, w);
    const same = await problem(await adapt(key, id, { inputs: inputs(w, 'source', 40) }), 'negative_transfer');
    expect(same.evidence).toMatchObject({ reason: 'no_shift', inputs: 40, before: {}, after: {} });
    const few = await problem(await adapt(key, id, { inputs: inputs(w, 'target', 5) }), 'negative_transfer');
    expect(few.evidence).toMatchObject({ reason: 'too_few_inputs' });
    expect(few.detail).toContain('at least 12');
    expect((await answer(await call(`/v1/classifiers/${id}`, { key }), 200, Classifier)).version).toBe(version);
  });

  it('weighs the labels that are given', async () => {
    const w = world(14);
    const { key } = await newTenant();
    const { id } = await make(key, w);
    const labelled = inputs(w, 'target', 40).map((input, i) => (i < 20 ? { ...input, label: LABELS[i % 4] } : input));
    const adapted = await answer(await adapt(key, id, { inputs: labelled }), 200, Version);
    expect((adapted.evidence as Evidence).adaptation.after.labelled_accuracy).toBeGreaterThan(0.7);
    const wrong = await problem(await adapt(key, id, { inputs: labelled.map((input) => ({ ...input, label: 'z' })) }), 'unknown_label');
    expect(wrong.detail).toContain('"z"');
  });

  it('is done once for an idempotency key', async () => {
    const w = world(15);
    const { key } = await newTenant();
    const { id } = await make(key, w);
    const json = { inputs: inputs(w, 'target', 40) };
    const first = await answer(await adapt(key, id, json, { 'idempotency-key': 'once' }), 200, Version);
    const second = await adapt(key, id, json, { 'idempotency-key': 'once' });
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect((await answer(second, 200, Version)).n).toBe(first.n);
  });

  it('tells what it cannot do, and to whom', async () => {
    const w = world(16);
    const { key } = await newTenant();
    const { id } = await make(key, w);
    const asked = { inputs: inputs(w, 'target', 40) };
    await problem(await adapt((await newTenant()).key, id, asked), 'not_found');
    await problem(await adapt(key, 'cls_nobody', asked), 'not_found');
    await problem(await adapt(key, id, {}), 'invalid_request');
    await problem(await adapt(key, id, { inputs: [{ vector: [1] }] }), 'dimension_mismatch');
    await problem(await adapt(key, id, { inputs: [{ text: 'a' }] }), 'unprocessable');
    await problem(await adapt(key, id, { dataset: 'ds_nobody' }), 'not_found');
    const empty = await answer(await call('/v1/classifiers', { key, json: { name: 'e', modality: 'vector', dimension: D } }), 201, Classifier);
    await problem(await adapt(key, empty.id, asked), 'nothing_to_predict');
  });
});
