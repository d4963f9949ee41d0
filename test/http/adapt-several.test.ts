/** Adaptation of a multi-label classifier over HTTP: better answers in the new domain where labels show it, a refusal with reasons otherwise. */
import { describe, expect, it } from 'vitest';
import { Classifier, Version } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { PredictionList } from '../../shared/wire/predictions.ts';
import { Report } from '../../shared/wire/report.ts';
import { normal, seededRandom } from '../../shared/statistics.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';

const D = 32;
const TAGS = ['red', 'round', 'soft'];
const SETS = [['red'], ['round'], ['soft'], ['red', 'round'], ['round', 'soft'], ['red', 'soft'], TAGS];

function world(seed: number) {
  const next = seededRandom(seed);
  const vector = (scale: number) => Array.from({ length: D }, () => scale * normal(next));
  const [middle, move] = [vector(1), vector(1.5)];
  const directions = new Map(TAGS.map((tag) => [tag, vector(0.6)]));
  return (labels: readonly string[], moved: boolean): number[] =>
    middle.map((m, j) => m + labels.reduce((sum, tag) => sum + directions.get(tag)![j]!, 0) + 0.35 * normal(next) + (moved ? move[j]! : 0));
}

async function taught(seed: number) {
  const w = world(seed);
  const { key } = await newTenant();
  const json = { name: 'things', modality: 'vector', dimension: D, task: 'multi_label' };
  const { id } = await answer(await call('/v1/classifiers', { key, json }), 201, Classifier);
  const rows = (count: number, moved: boolean) => Array.from({ length: count }, (_, i) => ({ labels: SETS[i % 7]!, vector: w(SETS[i % 7]!, moved) }));
  const { version } = await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples: rows(49, false) } }), 201, EnrollAnswer);
  const adapt = async (inputs: readonly object[]) => await call(`/v1/classifiers/${id}/adapt`, { key, json: { inputs } });
  const exact = async (held: ReturnType<typeof rows>, min_version: number) => {
    const asked = { inputs: held.map(({ vector }) => ({ vector })), min_version };
    const { data } = await answer(await call(`/v1/classifiers/${id}/predict`, { key, json: asked }), 200, PredictionList);
    return data.filter((p, i) => p.labels?.toSorted().join() === [...held[i]!.labels].toSorted().join()).length / held.length;
  };
  return { key, id, version, rows, adapt, exact };
}

describe('adaptation of several labels an input', () => {
  it('answers better where labels of some inputs show it, and goes on learning', async () => {
    const { key, id, version, rows, adapt, exact } = await taught(5);
    const held = rows(56, true);
    const before = await exact(held, version);
    // Every other one with its labels.
    const inputs = rows(42, true).map(({ labels, vector }, i) => (i % 2 ? { vector } : { labels, vector }));
    const adapted = await answer(await adapt(inputs), 200, Version);
    expect(adapted).toMatchObject({ kind: 'adapted', parent: version, active: true, evidence: { adaptation: { inputs: 42, labelled: 21 } } });
    const after = await exact(held, adapted.n);
    expect(after).toBeGreaterThan(before + 0.2);
    const more = { examples: rows(7, false) };
    const learnt = await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: more }), 201, EnrollAnswer);
    expect(await exact(held, learnt.version)).toBeGreaterThan(before + 0.2);
    expect((await answer(await call(`/v1/classifiers/${id}/report`, { key }), 200, Report)).left_out?.rows).toBe(56);
    await answer(await call(`/v1/classifiers/${id}/versions/${version}/activate`, { key, method: 'POST' }), 200, Version);
    expect(await exact(held, 0)).toBe(before);
  });

  it('is refused with its reason without labels, in the same domain, and for labels that it has not', async () => {
    const { rows, adapt, id, key, version } = await taught(6);
    const bare = await problem(await adapt(rows(42, true).map(({ vector }) => ({ vector }))), 'negative_transfer');
    expect(bare.evidence).toMatchObject({ reason: 'labels_needed', inputs: 42, labelled: 0, before: {}, after: {} });
    expect(bare.detail).toContain('labels');
    const same = await problem(await adapt(rows(42, false)), 'negative_transfer');
    expect(['worse_on_labels', 'unproven_on_labels']).toContain((same.evidence as { reason: string }).reason);
    const [first, ...others] = rows(20, true);
    const stranger = await problem(await adapt([{ ...first, labels: ['blue', 'red'] }, ...others]), 'unknown_label');
    expect(stranger.errors).toEqual([expect.objectContaining({ pointer: '/inputs/0/labels' })]);
    await problem(await adapt([{ ...first, label: 'red' }, ...others]), 'invalid_request');
    expect((await answer(await call(`/v1/classifiers/${id}`, { key }), 200, Classifier)).version).toBe(version);
    // Several labels are none of a classifier that gives one.
    const json = { name: 'one', modality: 'vector', dimension: D };
    const one = await answer(await call('/v1/classifiers', { key, json }), 201, Classifier);
    const asked = { inputs: [{ vector: rows(1, true)[0]!.vector, labels: ['red', 'soft'] }] };
    expect((await problem(await call(`/v1/classifiers/${one.id}/adapt`, { key, json: asked }), 'unprocessable')).detail).toContain('one label');
  });
});
