/** The drift monitor end to end: predictions in, windows judged in the object, the event once, the figures in the report. */
import { evictDurableObject } from 'cloudflare:test';
import { describe, expect, it, vi } from 'vitest';
import { normal, seededRandom, type Random } from '../../shared/statistics.ts';
import { addToMoments, noMoments, type Moments } from '../../functions/domain/moments.ts';
import { Classifier, Version } from '../../shared/wire/classifiers.ts';
import type { Drift } from '../../shared/wire/drift.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { listOf } from '../../shared/wire/page.ts';
import { PredictionList } from '../../shared/wire/predictions.ts';
import { Report } from '../../shared/wire/report.ts';
import { Event } from '../../shared/wire/webhooks.ts';
import { answer, bindings, call, newTenant } from '../setup/harness.ts';
import { deps } from '../setup/training.ts';

const D = 12;
const LABELS = ['red', 'green', 'blue'] as const;
/** A unit-sized blob for each label; `push` moves the inputs along a direction of their own. */
const draw = (label: number, random: Random, push = 0) =>
  Array.from({ length: D }, (_, j) => (j === label ? 1 : 0) + 0.15 * normal(random) + (j === D - 1 ? push : 0));

async function taught(key: string, random: Random, more: object = {}): Promise<string> {
  const json = { name: 'colours', modality: 'vector', dimension: D, ...more };
  const { id } = await answer(await call('/v1/classifiers', { key, json }), 201, Classifier);
  const examples = Array.from({ length: 60 }, (_, i) => ({ label: LABELS[i % 3]!, vector: draw(i % 3, random) }));
  await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
  return id;
}
/** 50 predictions of the given mix: exactly what an isolate hands in at once. */
async function half(key: string, id: string, random: Random, push = 0, label = (i: number) => i % 3): Promise<void> {
  const inputs = Array.from({ length: 50 }, (_, i) => ({ vector: draw(label(i), random, push) }));
  await answer(await call(`/v1/classifiers/${id}/predict`, { key, json: { inputs } }), 200, PredictionList);
}
const driftOf = async (key: string, id: string): Promise<Drift> =>
  (await answer(await call(`/v1/classifiers/${id}/report`, { key }), 200, Report)).drift;
/** How long background work may take where a machine is busy; it goes on as soon as that is done. */
const soon = { timeout: 60_000, interval: 20 };
/** A full window, and the state after it was judged. */
async function window(key: string, id: string, random: Random, push = 0, label?: (i: number) => number): Promise<Drift> {
  await half(key, id, random, push, label);
  await vi.waitFor(async () => expect((await driftOf(key, id)).collected).toBe(50), soon);
  await half(key, id, random, push, label);
  return await vi.waitFor(async () => {
    const drift = await driftOf(key, id);
    expect(drift.collected).toBe(0);
    return drift;
  }, soon);
}
const alarmsOf = async (key: string) =>
  (await answer(await call('/v1/events?limit=100', { key }), 200, listOf(Event, 'EventList'))).data.filter(
    (e) => e.type === 'classifier.drift_detected',
  );

describe('the drift monitor', () => {
  it('counts labels that are called like what every object has', async () => {
    const random = seededRandom(11);
    const { key } = await newTenant();
    const names = ['constructor', '__proto__', 'blue'];
    const { id } = await answer(await call('/v1/classifiers', { key, json: { name: 'trades', modality: 'vector', dimension: D } }), 201, Classifier);
    const examples = Array.from({ length: 60 }, (_, i) => ({ label: names[i % 3]!, vector: draw(i % 3, random) }));
    await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
    for (const reference of ['enrolled', 'traffic']) {
      const { last } = await window(key, id, random);
      expect(last!.labels).toMatchObject({ reference });
      expect(last!.labels.mix.map(({ label }) => label).toSorted()).toEqual(names.toSorted());
      for (const { share, expected } of last!.labels.mix) expect([share, expected]).toEqual([expect.closeTo(1 / 3, 1), expect.closeTo(1 / 3, 1)]);
    }
  });

  it('is silent while inputs are like the enrolled ones, tells once when they are not, and again only after they were', async () => {
    const random = seededRandom(1);
    const { key } = await newTenant();
    const id = await taught(key, random);
    expect(await driftOf(key, id)).toEqual({ status: 'collecting', causes: [], since: null, collected: 0, window: 100, last: null });
    const first = await window(key, id, random);
    expect(first).toMatchObject({ status: 'normal', causes: [], since: null, last: { predictions: 100, labels: { reference: 'enrolled' } } });
    expect(first.last!.features!.shift).toBeLessThan(first.last!.features!.threshold);
    const second = await window(key, id, random);
    expect(second).toMatchObject({ status: 'normal', last: { labels: { reference: 'traffic' } } });
    expect(await alarmsOf(key)).toEqual([]);

    const moved = await window(key, id, random, 0.5);
    expect(moved.status).toBe('drifting');
    expect(moved.causes).toContain('features');
    expect(moved.since).not.toBeNull();
    const told = await vi.waitFor(async () => {
      const alarms = await alarmsOf(key);
      expect(alarms).toHaveLength(1);
      return alarms[0]!;
    }, soon);
    expect(told.data).toMatchObject({ classifier: id, causes: moved.causes, drift: moved.last });

    const still = await window(key, id, random, 0.5);
    expect(still).toMatchObject({ status: 'drifting', since: moved.since });
    const back = await window(key, id, random);
    expect(back).toMatchObject({ status: 'normal', causes: [], since: null });
    expect(await alarmsOf(key)).toHaveLength(1);
    await window(key, id, random, 0.5);
    await vi.waitFor(async () => expect(await alarmsOf(key)).toHaveLength(2), soon);
  });

  it('tells when the mix of labels turns over, against the traffic before and not against the enrolled examples', async () => {
    const random = seededRandom(2);
    const { key } = await newTenant();
    const id = await taught(key, random, { unknown: null });
    const mostly = (label: number) => (i: number) => (i % 10 === 0 ? (label + 1) % 3 : label);
    const skewed = await window(key, id, random, 0, mostly(0));
    expect(skewed).toMatchObject({ status: 'normal', last: { unknown: null, labels: { threshold: null } } });
    expect(skewed.last!.labels.stability_index).toBeGreaterThan(0.25);
    const turned = await window(key, id, random, 0, mostly(2));
    expect(turned).toMatchObject({ status: 'drifting', causes: ['labels'] });
    expect(turned.last!.labels.mix[0]!.expected).not.toBeCloseTo(turned.last!.labels.mix[0]!.share, 1);
  });

  it('starts counting again when the labels are others, and survives being thrown out of memory', async () => {
    const random = seededRandom(3);
    const { key } = await newTenant();
    const id = await taught(key, random);
    await half(key, id, random);
    await vi.waitFor(async () => expect((await driftOf(key, id)).collected).toBe(50), soon);
    await evictDurableObject(bindings.CLASSIFIER.get(bindings.CLASSIFIER.idFromName(id)));
    expect((await driftOf(key, id)).collected).toBe(50);
    await half(key, id, random);
    const judged = await vi.waitFor(async () => {
      const drift = await driftOf(key, id);
      expect(drift.last).not.toBeNull();
      return drift;
    }, soon);
    expect(judged).toMatchObject({ status: 'normal', last: { predictions: 100 } });
    await call(`/v1/classifiers/${id}/labels/red`, { key, method: 'PATCH', json: { name: 'crimson' } });
    const renamed = await window(key, id, random);
    expect(renamed).toMatchObject({ status: 'normal', last: { labels: { reference: 'enrolled' } } });
  });

  it('is about the target domain once the classifier is adapted to it', async () => {
    const random = seededRandom(7);
    const { key } = await newTenant();
    const id = await taught(key, random, { unknown: null });
    // All lie towards red: the classifier takes most of them for it. And each label looks different in its own way.
    const reddish = (label: number) => draw(label, random).map((v, j) => v + (j === 0 ? 1.5 : 0) + (j === 3 + label ? 0.9 : 0));
    const traffic = async (vector: (i: number) => number[]): Promise<Drift> => {
      for (const collected of [50, 0]) {
        const inputs = Array.from({ length: 50 }, (_, i) => ({ vector: vector(i) }));
        await answer(await call(`/v1/classifiers/${id}/predict`, { key, json: { inputs } }), 200, PredictionList);
        await vi.waitFor(async () => expect((await driftOf(key, id)).collected).toBe(collected), soon);
      }
      return await driftOf(key, id);
    };
    const before = await traffic((i) => reddish(i % 3));
    expect(before).toMatchObject({ status: 'drifting', causes: ['features'] });
    const inputs = Array.from({ length: 60 }, (_, i) => ({ vector: reddish(i % 3), label: LABELS[i % 3]! }));
    const adapted = await answer(await call(`/v1/classifiers/${id}/adapt`, { key, json: { inputs } }), 200, Version);

    // Mostly green: about the examples of green, moved as one with all others, that is far from where green lies there.
    const after = await traffic((i) => reddish(i % 5 === 0 ? i % 3 : 1));
    expect(after).toMatchObject({ status: 'normal', causes: [], since: null, last: { version: adapted.n, labels: { reference: 'enrolled' } } });
    expect(after.last!.features!.distance).toBeLessThan(before.last!.features!.distance / 3);
    // Handed in late by an isolate that still served the version before: about another centre, so it counts for nothing.
    const late = { version: adapted.parent!, moments: addToMoments(noMoments(D), new Float64Array(D).fill(0.5)), labels: { red: 1 }, unknown: 0 };
    await deps.classifier(id).observe(late);
    expect((await driftOf(key, id)).collected).toBe(0);
    const source = await traffic((i) => draw(i % 3, random));
    expect(source).toMatchObject({ status: 'drifting' });
    expect(source.causes).toContain('features');

    // Back to the version before, and to what it was taught.
    await call(`/v1/classifiers/${id}/versions/${adapted.parent}/activate`, { key, method: 'POST' });
    expect(await traffic((i) => draw(i % 3, random))).toMatchObject({ status: 'normal', causes: [], last: { version: adapted.parent } });
  });

  it('keeps an alarm until it was told, however often it is asked', async () => {
    const random = seededRandom(4);
    const { key } = await newTenant();
    const id = await taught(key, random);
    const object = deps.classifier(id);
    const observed = (push: number, labels: Record<string, number> = { red: 20, green: 20, blue: 20 }) => {
      let moments: Moments = noMoments(D);
      for (let i = 0; i < 60; i++) {
        const x = draw(i % 3, random, push);
        const norm = Math.hypot(...x);
        moments = addToMoments(
          moments,
          x.map((v) => v / norm),
        );
      }
      return { version: 1, moments, labels, unknown: 0 };
    };
    expect(await object.observe(observed(1))).toEqual([]);
    const [alarm] = await object.observe(observed(1));
    expect(alarm!.window.predictions).toBe(120);
    expect(await object.observe(observed(1))).toEqual([alarm]);
    await object.settleDrift('evt_other');
    // Predicted with labels that were deleted since: of no use, and no harm.
    expect(await object.observe(observed(1, { gone: 60 }))).toEqual([alarm]);
    await object.settleDrift(alarm!.event);
    expect(await object.observe(observed(1))).toEqual([]);
    await call(`/v1/classifiers/${id}`, { key, method: 'DELETE' });
    expect(await object.observe(observed(1))).toEqual([]);
  });

  it('says nothing of features while no label has two examples, and does not count a classifier without any', async () => {
    const random = seededRandom(5);
    const { key } = await newTenant();
    const { id } = await answer(await call('/v1/classifiers', { key, json: { name: 'one', modality: 'vector', dimension: D } }), 201, Classifier);
    const examples = LABELS.map((label, i) => ({ label, vector: draw(i, random) }));
    await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
    const drift = await window(key, id, random);
    expect(drift.last!.features).toBeNull();
  });
});
