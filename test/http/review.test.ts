/** The review queue: what is kept of doubtful predictions, what is not, and how an item becomes an example exactly once. */
import { describe, expect, it, vi } from 'vitest';
import { isSampled } from '../../functions/usecases/review/keep-for-review.ts';
import { sha256Hex } from '../../functions/domain/digests.ts';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer, Example } from '../../shared/wire/examples.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Prediction, PredictionList } from '../../shared/wire/predictions.ts';
import { DeletedReviewItem, ReviewItem } from '../../shared/wire/review.ts';
import { Usage } from '../../shared/wire/usage.ts';
import { answer, bindings, call, newTenant, problem } from '../setup/harness.ts';
import { packPictures } from '../setup/pack.ts';
import { deps } from '../setup/training.ts';

const NORTH = [1, 0, 0, 0];
const EAST = [0, 1, 0, 0];
const between = (i: number) => [1, 1, 0.01 * i, 0.1];
const List = listOf(ReviewItem, 'ReviewItemList');
const RULE = { sample_rate: 1, max_items: 200, below_confidence: 0.6 };

async function make(key: string, review: object | null | undefined, more: object = {}): Promise<Classifier> {
  const json = { name: 'compass', modality: 'vector', dimension: 4, unknown: null, ...(review === undefined ? {} : { review }), ...more };
  return await answer(await call('/v1/classifiers', { key, json }), 201, Classifier);
}
async function taught(key: string, review: object | null): Promise<string> {
  const { id } = await make(key, review);
  const examples = [0, 0.1, 0.2].flatMap((by) => [
    { label: 'north', vector: NORTH.map((x, i) => x + by * Math.sin(i)) },
    { label: 'east', vector: EAST.map((x, i) => x + by * Math.sin(i)) },
  ]);
  await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
  return id;
}
async function ask(key: string, id: string, vectors: readonly (readonly number[])[]): Promise<Prediction[]> {
  const json = { inputs: vectors.map((vector) => ({ vector })) };
  return (await answer(await call(`/v1/classifiers/${id}/predict`, { key, json }), 200, PredictionList)).data;
}
const list = async (key: string, id: string, query = '') => await answer(await call(`/v1/classifiers/${id}/review${query}`, { key }), 200, List);
/** How long background work may take where a machine is busy; it goes on as soon as that is done. */
const soon = { timeout: 60_000, interval: 30 };
/** Waits for the background work of the predictions before. */
async function waitFor(key: string, id: string, count: number): Promise<ReviewItem[]> {
  return await vi.waitFor(async () => {
    const { data } = await list(key, id, '?limit=100');
    expect(data).toHaveLength(count);
    return data;
  }, soon);
}
const digest = async (vector: readonly number[]) => await sha256Hex(new Uint8Array(Float32Array.from(vector).buffer));

describe('the rule', () => {
  it('is off unless asked for, has defaults, and can be changed', async () => {
    const { key } = await newTenant();
    expect((await make(key, undefined)).review).toBeNull();
    const made = await make(key, {});
    expect(made.review).toEqual(RULE);
    const path = `/v1/classifiers/${made.id}`;
    const json = { review: { sample_rate: 0.5, max_items: 10 } };
    const changed = await answer(await call(path, { key, method: 'PATCH', json }), 200, Classifier);
    expect(changed).toMatchObject({ name: 'compass', version: made.version, review: { sample_rate: 0.5, max_items: 10, below_confidence: 0.6 } });
    expect((await answer(await call(path, { key, method: 'PATCH', json: { review: null } }), 200, Classifier)).review).toBeNull();
    const wrong = await problem(await call(path, { key, method: 'PATCH', json: { review: { max_items: 0 } } }), 'invalid_request');
    expect(wrong.errors?.[0]?.pointer).toBe('/review/max_items');
    await problem(await call(path, { key, method: 'PATCH', json: {} }), 'invalid_request');
  });
});

describe('the queue', () => {
  it('keeps doubtful predictions only, each input once, newest first and in pages', async () => {
    const { key } = await newTenant();
    const id = await taught(key, { below_confidence: 0.9 });
    const [sure] = await ask(key, id, [NORTH]);
    expect(sure!.confidence).toBeGreaterThan(0.9);
    const doubtful = await ask(key, id, [between(1), between(2), between(1)]);
    expect(doubtful[0]!.confidence).toBeLessThan(0.9);
    await waitFor(key, id, 2);
    await ask(key, id, [between(2), between(3)]);
    const items = await waitFor(key, id, 3);
    expect(new Set(items.map((i) => i.sha256))).toEqual(new Set(await Promise.all([1, 2, 3].map(async (i) => await digest(between(i))))));
    expect(items[0]!.sha256).toBe(await digest(between(3)));
    expect(items[0]).toMatchObject({ classifier: id, content_type: null, original_url: null });
    const { version, label, unknown, confidence, scores, nearest } = (await ask(key, id, [between(3)]))[0]!;
    expect(items[0]!.prediction).toEqual({ version, label, unknown, confidence, scores, nearest });
    const page = await list(key, id, '?limit=2');
    const rest = await list(key, id, `?limit=2&cursor=${page.next_cursor}`);
    expect([...page.data, ...rest.data].map((i) => i.id)).toEqual(items.map((i) => i.id));
    expect([page.has_more, rest.has_more]).toEqual([true, false]);
  });

  it('keeps unknown inputs however sure, and nothing without a rule', async () => {
    const { key } = await newTenant();
    const silent = await taught(key, null);
    const id = await taught(key, { below_confidence: 0 });
    await call(`/v1/classifiers/${id}`, { key, method: 'PATCH', json: { unknown: { false_reject_rate: 0.05 } } });
    const [strange] = await ask(key, id, [[0, 0, -1, -1]]);
    expect(strange!.unknown).toBe(true);
    await ask(key, silent, [between(1)]);
    const [item] = await waitFor(key, id, 1);
    expect(item!.prediction).toMatchObject({ unknown: true, label: null });
    expect((await list(key, silent)).data).toEqual([]);
  });

  it('keeps what many classifiers were asked at once for each that is in doubt', async () => {
    const { key } = await newTenant();
    const [one, two] = [await taught(key, { below_confidence: 0.9 }), await taught(key, null)];
    await answer(await call('/v1/predict', { key, json: { classifiers: [one, two], vector: between(1) } }), 200, PredictionList);
    await waitFor(key, one, 1);
    expect((await list(key, two)).data).toEqual([]);
  });

  it('drops the oldest beyond its bound, at once when the bound is lowered', async () => {
    const { key } = await newTenant();
    const id = await taught(key, { below_confidence: 0.9, max_items: 4 });
    for (let i = 0; i < 6; i++) {
      await ask(key, id, [between(i)]);
      await waitFor(key, id, Math.min(4, i + 1));
      await vi.waitFor(async () => expect((await list(key, id)).data[0]!.sha256).toBe(await digest(between(i))), soon);
    }
    const kept = (await list(key, id)).data.map((i) => i.sha256);
    expect(kept).toEqual(await Promise.all([5, 4, 3, 2].map(async (i) => await digest(between(i)))));
    await call(`/v1/classifiers/${id}`, { key, method: 'PATCH', json: { review: { max_items: 1 } } });
    expect((await list(key, id)).data.map((i) => i.sha256)).toEqual(kept.slice(0, 1));
  });

  it('samples by the input: the same share of many, and never by luck of repetition', async () => {
    const { key } = await newTenant();
    const rule = { ...RULE, sample_rate: 0.3, below_confidence: 0.9 };
    const id = await taught(key, rule);
    const vectors = Array.from({ length: 60 }, (_, i) => between(i));
    const expected = (await Promise.all(vectors.map(digest))).filter((sha) => isSampled(rule, sha));
    expect(expected.length).toBeGreaterThan(8);
    expect(expected.length).toBeLessThan(30);
    for (let repeat = 0; repeat < 2; repeat++) await ask(key, id, vectors);
    const items = await waitFor(key, id, expected.length);
    expect(new Set(items.map((i) => i.sha256))).toEqual(new Set(expected));
  });
});

describe('an item', () => {
  it('becomes an example exactly once, as if it had been enrolled', async () => {
    const { key } = await newTenant();
    const id = await taught(key, { below_confidence: 1 });
    await ask(key, id, [between(1)]);
    const [item] = await waitFor(key, id, 1);
    const path = `/v1/classifiers/${id}/review/${item!.id}`;
    const tries = await Promise.all(['north', 'north-east', 'east'].map(async (label) => await call(path, { key, json: { label } })));
    expect(tries.map((r) => r.status).toSorted((a, b) => a - b)).toEqual([201, 409, 409]);
    const won = await answer(
      tries.find((r) => r.status === 201)!,
      201,
      EnrollAnswer,
    );
    const lost = await problem(
      tries.find((r) => r.status === 409)!,
      'conflict',
    );
    expect(lost.detail).toContain(won.data[0]!.id);
    const example = await answer(await call(`/v1/classifiers/${id}/examples/${won.data[0]!.id}`, { key }), 200, Example);
    expect(example).toMatchObject({ label: won.data[0]!.label, source: 'enrolled', sha256: item!.sha256 });
    expect((await list(key, id)).data).toEqual([]);
    const now = await answer(await call(`/v1/classifiers/${id}`, { key }), 200, Classifier);
    expect(now.version).toBe(won.version);
    expect(now.labels.reduce((sum, l) => sum + l.examples, 0)).toBe(7);
    // It is an example now: the same input is not asked about again, even though it may still be doubtful.
    await ask(key, id, [between(1), between(2)]);
    expect((await waitFor(key, id, 1))[0]!.sha256).toBe(await digest(between(2)));
    // Learnt exactly like an enrollment of the same vector.
    const twin = await taught(key, null);
    const examples = [{ label: won.data[0]!.label, vector: between(1) }];
    const direct = await answer(await call(`/v1/classifiers/${twin}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
    const probe = async (classifier: string, version: number) =>
      (
        await answer(
          await call(`/v1/classifiers/${classifier}/predict`, { key, json: { vector: [1, 0.5, 0, 0], min_version: version } }),
          200,
          Prediction,
        )
      ).scores;
    const [mine, its] = [await probe(id, won.version), await probe(twin, direct.version)];
    for (const [i, { label, score }] of mine.entries()) {
      expect(its[i]!.label).toBe(label);
      expect(its[i]!.score).toBeCloseTo(score, 5);
    }
  });

  it('answers a repetition with the same Idempotency-Key as the first time', async () => {
    const { key } = await newTenant();
    const id = await taught(key, { below_confidence: 0.9 });
    await ask(key, id, [between(1)]);
    const [item] = await waitFor(key, id, 1);
    const once = async () =>
      await call(`/v1/classifiers/${id}/review/${item!.id}`, { key, json: { label: 'east' }, headers: { 'idempotency-key': 'a' } });
    const first = await answer(await once(), 201, EnrollAnswer);
    expect(await answer(await once(), 201, EnrollAnswer)).toEqual(first);
  });

  it('can be dropped, and refuses what it cannot be', async () => {
    const { key } = await newTenant();
    const stranger = (await newTenant()).key;
    const id = await taught(key, { below_confidence: 0.9 });
    await ask(key, id, [between(1)]);
    const [item] = await waitFor(key, id, 1);
    const path = `/v1/classifiers/${id}/review/${item!.id}`;
    await problem(await call(path, { key, json: {} }), 'invalid_request');
    await problem(await call(path, { key, json: { labels: ['a', 'b'] } }), 'unprocessable');
    await problem(await call(path, { key: stranger, json: { label: 'a' } }), 'not_found');
    await problem(await call(path, { key: stranger, method: 'DELETE' }), 'not_found');
    await problem(await call(`/v1/classifiers/${id}/review/rev_nobody`, { key, json: { label: 'a' } }), 'not_found');
    expect(await answer(await call(path, { key, method: 'DELETE' }), 200, DeletedReviewItem)).toMatchObject({ id: item!.id });
    await problem(await call(path, { key, method: 'DELETE' }), 'not_found');
    await problem(await call(path, { key, json: { label: 'a' } }), 'not_found');
    await problem(await call(`/v1/classifiers/cls_nobody/review`, { key }), 'not_found');
  });
});

describe.skipIf(!bindings.HAS_BACKBONES)('originals', () => {
  const base64 = (bytes: Uint8Array) => btoa(bytes.reduce((text, b) => text + String.fromCharCode(b), ''));
  const stored = async (key: string) => (await answer(await call('/v1/usage', { key }), 200, Usage)).stored_bytes;

  it('of pictures are kept, shown, and go with the item, the example or the classifier', async () => {
    const { key, tenant } = await newTenant();
    const { id } = await make(key, { below_confidence: 1 }, { modality: 'image', dimension: undefined });
    const examples = ['bird', 'building'].map((label) => ({ label, image: base64(packPictures(label)[0]!) }));
    await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
    const pictures = packPictures('bird').slice(1, 4);
    for (const bytes of pictures) {
      const sent = await call(`/v1/classifiers/${id}/predict`, { key, body: bytes as BodyInit, headers: { 'content-type': 'image/png' } });
      await answer(sent, 200, Prediction);
    }
    const items = await waitFor(key, id, 3);
    const item = items.find((i) => i.original_url !== null)!;
    expect(item.content_type).toBe('image/png');
    const shown = new Uint8Array(await (await fetch(item.original_url!)).arrayBuffer());
    expect(await sha256Hex(shown)).toBe(item.sha256);
    const keyOf = (one: ReviewItem) => `tenants/${tenant}/classifiers/${id}/review/${one.id}`;
    const [dropped, taken, left] = items as [ReviewItem, ReviewItem, ReviewItem];
    // An item is there before its bytes are counted.
    const before = [...pictures, packPictures('bird')[0]!, packPictures('building')[0]!].reduce((sum, bytes) => sum + bytes.byteLength, 0);
    await vi.waitFor(async () => expect(await stored(key)).toBe(before), soon);
    await call(`/v1/classifiers/${id}/review/${dropped.id}`, { key, method: 'DELETE' });
    expect(await deps.objects.head(keyOf(dropped))).toBeNull();
    const size = pictures.map((p) => p.byteLength).toSorted((a, b) => a - b);
    expect(size).toContain(before - (await stored(key)));
    const made = await answer(await call(`/v1/classifiers/${id}/review/${taken.id}`, { key, json: { label: 'bird' } }), 201, EnrollAnswer);
    expect(await deps.objects.head(keyOf(taken))).not.toBeNull();
    await call(`/v1/classifiers/${id}/examples/${made.data[0]!.id}`, { key, method: 'DELETE' });
    expect(await deps.objects.head(keyOf(taken))).toBeNull();
    expect(await deps.objects.head(keyOf(left))).not.toBeNull();
    await call(`/v1/classifiers/${id}`, { key, method: 'DELETE' });
    expect(await deps.objects.head(keyOf(left))).toBeNull();
    expect(await stored(key)).toBe(0);
  });

  it('of texts are kept as texts', async () => {
    const { key } = await newTenant();
    const { id } = await make(
      key,
      { below_confidence: 1 },
      { modality: 'text', dimension: undefined, labels: [{ name: 'sports' }, { name: 'cooking' }] },
    );
    const text = 'The sauce won by two goals – grüße!';
    await answer(await call(`/v1/classifiers/${id}/predict`, { key, json: { text } }), 200, Prediction);
    const [item] = await waitFor(key, id, 1);
    expect(item!.content_type).toBe('text/plain; charset=utf-8');
    expect(await (await fetch(item!.original_url!)).text()).toBe(text);
    const made = await call(`/v1/classifiers/${id}/review/${item!.id}`, { key, json: { label: 'nonsense' } });
    expect((await answer(made, 201, EnrollAnswer)).data[0]!.label).toBe('nonsense');
  });
});
