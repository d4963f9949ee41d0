/** What `/adapt` reads: texts and pictures as JSON, files of a form, and the frozen rows of a dataset, all to the same effect. */
import { describe, expect, it } from 'vitest';
import type { DatasetManifest } from '../../shared/dataset.ts';
import imgdecWasm from '../../shared/preprocess/imgdec.wasm';
import { makeDecoder } from '../../shared/preprocess/decoder.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { makeTokenizer } from '../../shared/preprocess/wordpiece.ts';
import { encodeSafetensors, tensor } from '../../shared/safetensors.ts';
import { Classifier, Version } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { PredictionList } from '../../shared/wire/predictions.ts';
import { sampleRows } from '../../functions/domain/sample-rows.ts';
import { SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import { answer, bindings, call, newTenant, problem } from '../setup/harness.ts';
import { packPictures } from '../setup/pack.ts';
import { TOPICS } from '../setup/topics.ts';
import { deps, readyDataset, uploadedDataset } from '../setup/training.ts';

/** Dozens of embeddings on a machine with other work. */
const SLOW_MS = 150_000;
const LABELS = Object.keys(TOPICS) as (keyof typeof TOPICS)[];
const plain = (what: string) => `A note about ${what}.`;
const shouted = (what: string) => `!!! UNBELIEVABLE OFFER, CLICK NOW !!! win a million dollars and read everything on ${what} !!! order today !!!`;
const rows = (from: number, to: number, say: (what: string) => string) =>
  LABELS.flatMap((label) => TOPICS[label].slice(from, to).map((what) => ({ label, text: say(what) })));

async function taught(key: string): Promise<string> {
  const { id } = await answer(await call('/v1/classifiers', { key, json: { name: 'notes', modality: 'text' } }), 201, Classifier);
  await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples: rows(0, 6, plain) } }), 201, EnrollAnswer);
  return id;
}

type Row = { readonly text: string; readonly label: string | null; /** Of a multi-label dataset. */ readonly labels?: readonly string[] | null };

/** A ready dataset of these texts, frozen as the host does it. `test`: how many of the last rows are the test part. */
async function textDataset(key: string, texts: readonly Row[], labels: readonly string[], test = 0): Promise<string> {
  const backbone = await deps.catalogue.get(SHIPPED_BACKBONES.text);
  const vocabulary = await deps.objects.get(objectKeys.blob(backbone!.vocabulary!.sha256));
  const tokenize = makeTokenizer(new TextDecoder().decode(vocabulary!));
  const n = texts.length;
  const ids = new Int32Array(n * 128);
  const lengths = new Int32Array(n);
  for (const [i, { text }] of texts.entries()) {
    const row = tokenize(text, 128);
    ids.set(row, i * 128);
    lengths[i] = row.length;
  }
  const several = texts.some((row) => row.labels !== undefined);
  const numbers = Int32Array.from(texts, ({ label, labels: own }) => (several ? (own ? 0 : -1) : label === null ? -1 : labels.indexOf(label)));
  const split = Uint8Array.from(texts, (_, i) => (i < n - test ? 0 : 2));
  const present = Uint8Array.from(texts.flatMap(({ labels: own }) => labels.map((label) => (own?.includes(label) ? 1 : 0))));
  const arrays = encodeSafetensors({
    input_ids: tensor('I32', [n, 128], ids),
    lengths: tensor('I32', [n], lengths),
    labels: tensor('I32', [n], numbers),
    split: tensor('U8', [n], split),
    ...(several ? { present: tensor('U8', [n, labels.length], present) } : {}),
  });
  const change: Partial<DatasetManifest> = { modality: 'text', task: several ? 'multi_label' : 'single_label', labels: [...labels], rows: n };
  return (await readyDataset(key, change, { 'dataset.safetensors': arrays })).id;
}

/** As `textDataset`; the first four have their label. */
async function pictureDataset(key: string, pictures: readonly { label: string; bytes: Uint8Array }[]): Promise<string> {
  const n = pictures.length;
  const decoder = makeDecoder(imgdecWasm);
  const pixels = new Uint8Array(n * 256 * 256 * 3);
  for (const [i, { bytes }] of pictures.entries()) pixels.set(decoder.decodeSquare(bytes).pixels, i * 256 * 256 * 3);
  const labels = ['building', 'bird'];
  const numbers = Int32Array.from(pictures, ({ label }, i) => (i < 4 ? labels.indexOf(label) : -1));
  const arrays = encodeSafetensors({
    pixels: tensor('U8', [n, 256, 256, 3], pixels),
    labels: tensor('I32', [n], numbers),
    split: tensor('U8', [n], new Uint8Array(n)),
  });
  return (await readyDataset(key, { labels, rows: n }, { 'dataset.safetensors': arrays })).id;
}

type Figures = {
  source?: { dataset: string; rows: number; eligible: number; other_labels: number; read: number; seed: number };
  inputs: number;
  labelled: number;
  shift: { distance: number };
  after: { information: number; labelled_accuracy: number | null };
};
const adapt = async (key: string, id: string, json: object) => await call(`/v1/classifiers/${id}/adapt`, { key, json });

describe.skipIf(!bindings.HAS_BACKBONES)('the rows of a dataset', () => {
  it('need an example of every label, and the refusal names those that have none', { timeout: SLOW_MS }, async () => {
    const { key } = await newTenant();
    const labels = LABELS.map((name) => ({ name }));
    const { id } = await answer(await call('/v1/classifiers', { key, json: { name: 'notes', modality: 'text', labels } }), 201, Classifier);
    const examples = rows(0, 2, plain).filter(({ label }) => label !== 'sport');
    await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
    const inputs = rows(6, 10, shouted).map(({ text }) => ({ text }));
    const { detail } = await problem(await call(`/v1/classifiers/${id}/adapt`, { key, json: { inputs } }), 'unprocessable');
    expect(detail).toContain('to speak for them: "sport".');
  });

  it(
    'adapt as the same inputs do, and predictions say so',
    async () => {
      const { key } = await newTenant();
      const [one, other] = [await taught(key), await taught(key)];
      const target = rows(6, 14, shouted);
      const dataset = await textDataset(key, target, LABELS);
      const byRows = await answer(await adapt(key, one, { dataset }), 200, Version);
      const byInputs = await answer(await adapt(key, other, { inputs: target }), 200, Version);
      const [mine, same] = [byRows, byInputs].map((v) => (v.evidence as { adaptation: Figures }).adaptation) as [Figures, Figures];
      expect(mine.source).toMatchObject({ dataset, rows: 24, eligible: 24, other_labels: 0, read: 24 });
      expect(same.source).toBeUndefined();
      expect(mine).toMatchObject({ inputs: 24, labelled: 24 });
      expect(mine.shift.distance).toBeCloseTo(same.shift.distance, 4);
      expect(mine.after.information).toBeCloseTo(same.after.information, 3);
      const asked = { inputs: rows(0, 6, shouted).map(({ text }) => ({ text })) };
      const scores = await Promise.all(
        [one, other].map(async (id) => {
          const { data } = await answer(await call(`/v1/classifiers/${id}/predict`, { key, json: asked }), 200, PredictionList);
          return data.flatMap((p) => p.scores.toSorted((a, b) => (a.label < b.label ? -1 : 1)).map((s) => s.score));
        }),
      );
      for (const [i, score] of scores[0]!.entries()) expect(score).toBeCloseTo(scores[1]![i]!, 2);
    },
    SLOW_MS,
  );

  it('leaves out test rows and labels that the classifier does not have, and judges by those that it has', async () => {
    const { key } = await newTenant();
    const id = await taught(key);
    const known = rows(6, 12, shouted).map((row, i) => ({ ...row, label: i % 2 === 0 ? row.label : null }));
    const cars = ['van', 'coupe', 'truck', 'tram'].map((what) => ({ label: 'cars', text: shouted(what) }));
    const dataset = await textDataset(key, [...known, ...cars, ...rows(12, 14, shouted)], [...LABELS, 'cars'], 6);
    const response = await adapt(key, id, { dataset });
    const body: { evidence: unknown } = await response.json();
    const figures = (response.status === 200 ? (body.evidence as { adaptation: Figures }).adaptation : body.evidence) as Figures;
    expect(figures.source).toMatchObject({ rows: 28, eligible: 18, other_labels: 4, read: 18 });
    expect(figures).toMatchObject({ inputs: 18, labelled: 9 });
    expect(figures.after.labelled_accuracy).not.toBeNull();
  });

  it('of several labels count with all of them, where the classifier gives several', { timeout: SLOW_MS }, async () => {
    const { key } = await newTenant();
    const json = { name: 'tagged', modality: 'text', task: 'multi_label' };
    const { id } = await answer(await call('/v1/classifiers', { key, json }), 201, Classifier);
    const pair = (i: number, say: (what: string) => string) => say(`${TOPICS.food[i]} and ${TOPICS.weather[i]}`);
    const examples = [0, 1, 2, 3].flatMap((i) => [
      { labels: ['food'], text: plain(TOPICS.food[i]!) },
      { labels: ['weather'], text: plain(TOPICS.weather[i]!) },
      { labels: ['food', 'weather'], text: pair(i + 4, plain) },
    ]);
    await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
    const both = Array.from({ length: 6 }, (_, i) => ({ label: null, text: pair(i + 8, shouted), labels: ['weather', 'food'] }));
    const none = TOPICS.sport.slice(0, 4).map((what) => ({ label: null, text: shouted(what), labels: [] }));
    const open = TOPICS.food.slice(8, 12).map((what) => ({ label: null, text: shouted(what), labels: null }));
    const strange = [{ label: null, text: shouted('vans in the rain'), labels: ['weather', 'cars'] }];
    const dataset = await textDataset(key, [...both, ...none, ...open, ...strange], ['cars', 'food', 'weather']);
    const figuresOf = async (classifier: string) => {
      const response = await adapt(key, classifier, { dataset });
      const body: { evidence: unknown } = await response.json();
      return (response.status === 200 ? (body.evidence as { adaptation: Figures }).adaptation : body.evidence) as Figures;
    };
    const figures = await figuresOf(id);
    expect(figures.source).toMatchObject({ rows: 15, eligible: 15, read: 14, other_labels: 1 });
    expect(figures).toMatchObject({ inputs: 14, labelled: 10 });
    // Of a classifier that gives one label, several say nothing.
    expect(await figuresOf(await taught(key))).toMatchObject({ inputs: 14, labelled: 0, source: { other_labels: 1 } });
  });

  it('are refused where they are not ready, not there, of another tenant or of another kind, and where the arrays are damaged', async () => {
    const { key } = await newTenant();
    const id = await taught(key);
    await problem(await adapt(key, id, { dataset: 'ds_nobody' }), 'not_found');
    const waiting = await uploadedDataset(key);
    expect(await problem(await adapt(key, id, { dataset: waiting.id }), 'dataset_not_ready')).toMatchObject({ param: 'dataset' });
    await deps.d1.prepare(`update work set status = 'dead' where id = ?`).bind(waiting.id).run();
    const theirs = await textDataset((await newTenant()).key, rows(6, 10, plain), LABELS);
    await problem(await adapt(key, id, { dataset: theirs }), 'not_found');
    const pictures = await readyDataset(key);
    expect((await problem(await adapt(key, id, { dataset: pictures.id }), 'unprocessable')).detail).toContain('reads text');
    const wrong = await readyDataset(key, { modality: 'text' });
    expect((await problem(await adapt(key, id, { dataset: wrong.id }), 'unavailable')).detail).toContain('frozen arrays');
    const few = await textDataset(key, rows(6, 8, shouted), LABELS);
    expect((await problem(await adapt(key, id, { dataset: few }), 'negative_transfer')).evidence).toMatchObject({
      reason: 'too_few_inputs',
      source: { read: 6 },
    });
  });
});

describe('which rows', () => {
  const labelOf = Int32Array.from({ length: 1_000 }, (_, i) => (i % 4) - 1);
  const split = Uint8Array.from({ length: 1_000 }, (_, i) => (i % 10 === 9 ? 2 : i % 10 === 8 ? 1 : 0));
  const draw = (digest: string, max = 64) => sampleRows({ labelOf, split, names: ['a', 'b', 'c'] }, new Set(['a', 'b']), max, digest);

  it('are drawn at random, the same for the same dataset, without a test row or a strange label', () => {
    const sample = draw('0a1b2c3d');
    expect(sample.rows).toHaveLength(64);
    expect(new Set(sample.rows.map((r) => r.row)).size).toBe(64);
    for (const { row, label } of sample.rows) {
      expect(split[row]).not.toBe(2);
      expect(label).toBe([null, 'a', 'b'][labelOf[row]! + 1]);
    }
    const strange = [...labelOf.keys()].filter((i) => labelOf[i] === 2 && split[i] !== 2).length;
    expect(sample.otherLabels).toBe(strange);
    expect(sample.eligible).toBe(900 - strange);
    expect(draw('0a1b2c3d')).toEqual(sample);
    expect(draw('ffffffff').rows).not.toEqual(sample.rows);
    // From everywhere, not from the beginning.
    const middle = sample.rows.reduce((sum, r) => sum + r.row, 0) / 64;
    expect(Math.abs(middle - 500)).toBeLessThan(120);
    expect(draw('0a1b2c3d', 5_000).rows).toHaveLength(sample.eligible);
  });
});

describe.skipIf(!bindings.HAS_BACKBONES)('files of a form', () => {
  it(
    'are read as the same pictures in JSON are',
    async () => {
      const { key } = await newTenant();
      const { id } = await answer(await call('/v1/classifiers', { key, json: { name: 'p', modality: 'image' } }), 201, Classifier);
      const base64 = (bytes: Uint8Array) => btoa(bytes.reduce((text, b) => text + String.fromCharCode(b), ''));
      const some = (from: number, to: number) =>
        ['bird', 'building'].flatMap((label) =>
          packPictures(label)
            .slice(from, to)
            .map((bytes) => ({ label, bytes })),
        );
      const examples = some(0, 3).map(({ label, bytes }) => ({ label, image: base64(bytes) }));
      await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
      const target = some(6, 12);
      const form = new FormData();
      for (const [i, { label, bytes }] of target.entries()) {
        form.append('file', new File([bytes as BlobPart], `${i}.png`));
        form.append('label', i < 4 ? label : '');
      }
      const inputs = target.map(({ label, bytes }, i) => ({ image: base64(bytes), ...(i < 4 ? { label } : {}) }));
      // The same style again: both are refused, with the same figures.
      const byForm = await problem(await call(`/v1/classifiers/${id}/adapt`, { key, method: 'POST', body: form }), 'negative_transfer');
      const byJson = await problem(await adapt(key, id, { inputs }), 'negative_transfer');
      expect(byForm.evidence).toEqual(byJson.evidence);
      expect(byForm.evidence).toMatchObject({ inputs: 12, labelled: 4 });

      const { evidence } = await problem(await adapt(key, id, { dataset: await pictureDataset(key, target) }), 'negative_transfer');
      const [rowsOf, mine] = [evidence, byJson.evidence] as [Figures, Figures];
      expect(rowsOf).toMatchObject({ source: { rows: 12, eligible: 12, read: 12 }, inputs: 12, labelled: 4 });
      expect(rowsOf.shift.distance).toBeCloseTo(mine.shift.distance, 5);
      expect(rowsOf.after.labelled_accuracy).toBe(mine.after.labelled_accuracy);

      form.append('label', 'bird');
      const counted = await problem(await call(`/v1/classifiers/${id}/adapt`, { key, method: 'POST', body: form }), 'invalid_request');
      expect(counted.errors).toMatchObject([{ pointer: '/label', code: 'count' }]);
      const broken = new FormData();
      for (let i = 0; i < 3; i++) broken.append('file', new File([i === 1 ? 'no picture' : (target[i]!.bytes as BlobPart)], `${i}.png`));
      const faults = await problem(await call(`/v1/classifiers/${id}/adapt`, { key, method: 'POST', body: broken }), 'unsupported_media_type');
      expect(faults.errors).toMatchObject([{ pointer: '/file/1' }]);
    },
    SLOW_MS,
  );
});

it('vectors come as JSON only, and no dataset holds them', async () => {
  const { key } = await newTenant();
  const { id } = await answer(await call('/v1/classifiers', { key, json: { name: 'v', modality: 'vector', dimension: 4 } }), 201, Classifier);
  const form = new FormData();
  form.append('file', new File(['x'], 'x'));
  await problem(await call(`/v1/classifiers/${id}/adapt`, { key, method: 'POST', body: form }), 'unsupported_media_type');
  const dataset = await readyDataset(key);
  expect((await problem(await adapt(key, id, { dataset: dataset.id }), 'unprocessable')).detail).toContain('reads vector');
});
