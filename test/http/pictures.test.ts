/** Real pictures and texts through the whole Worker: bytes in, decoded, embedded, learnt, answered; and everything that is not a picture. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { makeDeps } from '../../functions/deps.ts';
import { IMAGE_MAX_BYTES, TEXT_MAX_BYTES } from '../../shared/limits.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { Backbone } from '../../shared/wire/backbones.ts';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { DeletedExample, EnrollAnswer } from '../../shared/wire/examples.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Prediction, PredictionList } from '../../shared/wire/predictions.ts';
import { Usage } from '../../shared/wire/usage.ts';
import { answer, bindings, call, newTenant, problem } from '../setup/harness.ts';
import { packPictures } from '../setup/pack.ts';
import { makePng } from '../setup/png.ts';

const { objects } = makeDeps(env as never);
const CLASSES = ['bird', 'building', 'clothing'] as const;
const SHOTS = 4;
const base64 = (bytes: Uint8Array) => btoa(bytes.reduce((text, b) => text + String.fromCharCode(b), ''));

async function make(key: string, modality: 'image' | 'text', more: object = {}): Promise<string> {
  const made = await call('/v1/classifiers', { key, json: { name: 'test', modality, unknown: null, ...more } });
  return (await answer(made, 201, Classifier)).id;
}

async function taughtPictures(key: string): Promise<{ id: string; version: number; examples: string[] }> {
  const id = await make(key, 'image');
  const examples = CLASSES.flatMap((label) =>
    packPictures(label)
      .slice(0, SHOTS)
      .map((bytes) => ({ label, image: base64(bytes) })),
  );
  const list = await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
  return { id, version: list.version, examples: list.data.map((e) => e.id) };
}

async function send(key: string, id: string, body: Uint8Array | string, type: string): Promise<Response> {
  return await call(`/v1/classifiers/${id}/predict`, { key, body: body as BodyInit, headers: { 'content-type': type } });
}

/** A body of so many MiB without a declared length, and how much of it was asked for. */
function streamed(mebibytes: number): { stream: string; sent: () => number } {
  let sent = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent >= mebibytes << 20) return controller.close();
      sent += 1 << 20;
      controller.enqueue(new Uint8Array(1 << 20));
    },
  });
  return { stream: stream as unknown as string, sent: () => sent };
}

describe.skipIf(!bindings.HAS_BACKBONES)('pictures', () => {
  it('are learnt from four of each and told apart, whatever form the request has', async () => {
    const { key } = await newTenant();
    const { id, version } = await taughtPictures(key);
    let right = 0;
    const probes = CLASSES.flatMap((label) =>
      packPictures(label)
        .slice(10, 14)
        .map((bytes) => ({ label, bytes })),
    );
    for (const { label, bytes } of probes) {
      const raw = await answer(await send(key, id, bytes, 'image/png'), 200, Prediction);
      expect(raw.version).toBe(version);
      right += raw.label === label ? 1 : 0;
    }
    // Chance is 4 of 12.
    expect(right).toBeGreaterThanOrEqual(10);
    const [probe] = probes;
    const image = base64(probe!.bytes);
    const raw = await answer(await send(key, id, probe!.bytes, 'image/png'), 200, Prediction);
    const single = await answer(await call(`/v1/classifiers/${id}/predict`, { key, json: { image } }), 200, Prediction);
    const listed = await call(`/v1/classifiers/${id}/predict`, { key, json: { inputs: [{ image: `data:image/png;base64,${image}` }] } });
    expect(single).toEqual(raw);
    expect((await answer(listed, 200, PredictionList)).data).toEqual([raw]);
  });

  it('are learnt from a form with several files, and the originals are kept until the example goes', async () => {
    const { key, tenant } = await newTenant();
    const id = await make(key, 'image');
    const form = new FormData();
    const files = packPictures('bird').slice(0, 2);
    form.append('label', 'bird');
    for (const [i, bytes] of files.entries()) form.append('file', new File([bytes as BlobPart], `bird-${i}.png`, { type: 'image/png' }));
    const list = await answer(await call(`/v1/classifiers/${id}/examples`, { key, body: form }), 201, EnrollAnswer);
    expect(list.data.map((e) => [e.label, e.external_id])).toEqual([
      ['bird', 'bird-0.png'],
      ['bird', 'bird-1.png'],
    ]);
    const example = list.data[0]?.id ?? '';
    const original = objectKeys.example(tenant, id, example);
    expect(await objects.get(original)).toEqual(files[0]);
    const bytes = files.reduce((sum, f) => sum + f.byteLength, 0);
    expect((await answer(await call('/v1/usage', { key }), 200, Usage)).stored_bytes).toBe(bytes);
    await answer(await call(`/v1/classifiers/${id}/examples/${example}`, { key, method: 'DELETE' }), 200, DeletedExample);
    expect(await objects.get(original)).toBeNull();
    expect((await answer(await call('/v1/usage', { key }), 200, Usage)).stored_bytes).toBe(bytes - (files[0]?.byteLength ?? 0));
    await call(`/v1/classifiers/${id}`, { key, method: 'DELETE' });
    expect(await objects.get(objectKeys.example(tenant, id, list.data[1]?.id ?? ''))).toBeNull();
  });

  it('come one label for each file, or are refused with the file that is wrong', async () => {
    const { key } = await newTenant();
    const id = await make(key, 'image');
    const [picture] = packPictures('bird');
    const form = (labels: string[], files: [string, Uint8Array][]) => {
      const data = new FormData();
      for (const label of labels) data.append('label', label);
      for (const [name, bytes] of files) data.append('file', new File([bytes as BlobPart], name));
      return data;
    };
    const path = `/v1/classifiers/${id}/examples`;
    const two = await answer(
      await call(path, {
        key,
        body: form(
          ['a', 'b'],
          [
            ['1', picture!],
            ['2', picture!],
          ],
        ),
      }),
      201,
      EnrollAnswer,
    );
    expect(two.data.map((e) => e.label)).toEqual(['a', 'b']);
    const bad = form(
      ['a'],
      [
        ['good.png', picture!],
        ['bad.txt', new TextEncoder().encode('hello')],
      ],
    );
    const body = await problem(await call(path, { key, body: bad }), 'unsupported_media_type');
    expect(body.errors?.map((e) => e.pointer)).toEqual(['/file/1']);
    expect((await problem(await call(path, { key, body: form([], [['1', picture!]]) }), 'invalid_request')).param).toBe('label');
    expect((await problem(await call(path, { key, body: form(['a'], []) }), 'invalid_request')).param).toBe('file');
    await problem(
      await call(path, {
        key,
        body: form(
          ['a', 'b', 'c'],
          [
            ['1', picture!],
            ['2', picture!],
          ],
        ),
      }),
      'invalid_request',
    );
    const broken = { 'content-type': 'multipart/form-data; boundary=x' };
    await problem(await call(path, { key, body: 'no form at all', headers: broken }), 'invalid_request');
    const now = await answer(await call(`/v1/classifiers/${id}`, { key }), 200, Classifier);
    expect(now.labels.map((l) => [l.name, l.examples])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
  });

  it('that are none, broken, or too large are refused, each by its own name and limit', async () => {
    const { key } = await newTenant();
    const { id } = await taughtPictures(key);
    const good = packPictures('bird')[20]!;
    await problem(await send(key, id, '<svg/>', 'image/png'), 'unsupported_media_type');
    await problem(await send(key, id, good, 'image/gif'), 'unsupported_media_type');
    await problem(await send(key, id, 'bird', 'text/plain'), 'unsupported_media_type');
    await problem(await send(key, id, good.slice(0, good.length - 30), 'image/png'), 'picture_truncated');
    await problem(await send(key, id, new Uint8Array(0), 'image/png'), 'empty_body');
    const bomb = await problem(
      await send(
        key,
        id,
        makePng(9_000, 9_000, () => [0, 0, 0], true),
        'image/png',
      ),
      'picture_too_large',
    );
    expect(bomb.detail).toContain('50000000');
    const long = await problem(await send(key, id, new Uint8Array(IMAGE_MAX_BYTES + 1), 'image/png'), 'body_too_large');
    expect(long.detail).toContain(String(IMAGE_MAX_BYTES));
    const inJson = { inputs: [{ image: base64(good) }, { image: 'no base64!' }] };
    const body = await problem(await call(`/v1/classifiers/${id}/predict`, { key, json: inJson }), 'invalid_request');
    expect(body.errors?.map((e) => e.pointer)).toEqual(['/inputs/1/image']);
    await problem(await call(`/v1/classifiers/${id}/predict`, { key, json: { image: base64(good), text: 'x' } }), 'invalid_request');
    await problem(await call(`/v1/classifiers/${id}/predict`, { key, method: 'POST' }), 'empty_body');
    await answer(await send(key, id, good, 'image/png'), 200, Prediction);
  });

  it('streamed without a length are counted while they come', async () => {
    const { key } = await newTenant();
    const { id } = await taughtPictures(key);
    const body = streamed(IMAGE_MAX_BYTES / (1 << 20) + 1);
    await problem(await send(key, id, body.stream, 'image/png'), 'body_too_large');
    expect(body.sent()).toBe(IMAGE_MAX_BYTES + (1 << 20));
    const endless = streamed(1_000);
    await problem(await send(key, id, endless.stream, 'image/png'), 'body_too_large');
    expect(endless.sent()).toBeLessThan(120 << 20);
  });

  it('that are refused unread are read to their end all the same, because the answer is lost on a caller that still sends', async () => {
    const { key } = await newTenant();
    for (const [path, type, by, code] of [
      ['/v1/classifiers/cls_none/predict', 'image/png', 'graft_of_nobody', 'unauthorized'],
      ['/v1/classifiers/cls_none/predict', 'image/gif', key, 'unsupported_media_type'],
      ['/v1/nothing', 'image/png', key, 'not_found'],
    ] as const) {
      const body = streamed(4);
      await problem(await call(path, { key: by, body: body.stream, headers: { 'content-type': type } }), code);
      expect(body.sent(), path).toBe(4 << 20);
    }
  });

  it('are answered twenty at once, each with its own answer', async () => {
    const { key } = await newTenant();
    const { id, version } = await taughtPictures(key);
    const probes = CLASSES.flatMap((label) => packPictures(label).slice(5, 12)).slice(0, 20);
    const alone: Prediction[] = [];
    for (const bytes of probes) alone.push(await answer(await send(key, id, bytes, 'image/png'), 200, Prediction));
    const started = Date.now();
    const together = await Promise.all(probes.map(async (bytes) => await answer(await send(key, id, bytes, 'image/png'), 200, Prediction)));
    console.log(JSON.stringify({ twenty_predictions_ms: Date.now() - started }));
    expect(together).toEqual(alone);
    expect(together.every((p) => p.version === version)).toBe(true);
  });

  it('show every write to the prediction that carries its version, under concurrent writers', async () => {
    const { key } = await newTenant();
    const { id } = await taughtPictures(key);
    const [probe] = packPictures('meal');
    await Promise.all(
      ['w1', 'w2', 'w3', 'w4', 'w5'].map(async (label, i) => {
        const image = base64(packPictures('meal')[i + 1]!);
        const json = { examples: [{ label, image }] };
        const { version } = await answer(await call(`/v1/classifiers/${id}/examples`, { key, json }), 201, EnrollAnswer);
        const response = await call(`/v1/classifiers/${id}/predict?min_version=${version}`, {
          key,
          body: probe as BodyInit,
          headers: { 'content-type': 'image/png' },
        });
        const seen = await answer(response, 200, Prediction);
        expect(seen.version).toBeGreaterThanOrEqual(version);
        expect(seen.scores.map((s) => s.label)).toContain(label);
      }),
    );
  });
});

describe.skipIf(!bindings.HAS_BACKBONES)('texts', () => {
  it('are told apart by the names of the labels alone, better with examples', async () => {
    const { key } = await newTenant();
    const labels = [{ name: 'card_arrival' }, { name: 'exchange_rate' }, { name: 'lost_or_stolen_phone' }];
    const id = await make(key, 'text', { labels });
    const ask = async (text: string) => await answer(await send(key, id, text, 'text/plain; charset=utf-8'), 200, Prediction);
    expect((await ask('When will my new card be delivered?')).label).toBe('card_arrival');
    expect((await ask('How many euros do I get for a dollar?')).label).toBe('exchange_rate');
    const examples = [
      { label: 'top_up', text: 'How can I add money to my account?' },
      { label: 'exchange_rate', text: 'What is your rate today?' },
    ];
    const { version } = await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
    const json = { text: 'I want to put money on my account', min_version: version };
    expect((await answer(await call(`/v1/classifiers/${id}/predict`, { key, json }), 200, Prediction)).label).toBe('top_up');
  });

  it('that are no text are refused', async () => {
    const { key } = await newTenant();
    const id = await make(key, 'text', { labels: [{ name: 'a' }, { name: 'b' }] });
    await problem(await send(key, id, Uint8Array.of(0xff, 0xfe, 0x41), 'text/plain'), 'text_invalid');
    await problem(await send(key, id, '   \n', 'text/plain'), 'empty_body');
    const long = await problem(await send(key, id, 'a'.repeat(TEXT_MAX_BYTES + 1), 'text/plain'), 'body_too_large');
    expect(long.detail).toContain(String(TEXT_MAX_BYTES));
    await problem(await call(`/v1/classifiers/${id}/predict`, { key, json: { vector: [1] } }), 'unprocessable');
    await answer(await send(key, id, 'a'.repeat(TEXT_MAX_BYTES), 'text/plain'), 200, Prediction);
  });

  it('backbones are listed with what they cost to serve', async () => {
    const { key } = await newTenant();
    const list = await answer(await call('/v1/backbones', { key }), 200, listOf(Backbone, 'BackboneList'));
    expect(list.data.map((b) => [b.id, b.modality, b.dimension])).toEqual([
      ['efficientnet-lite0', 'image', 1472],
      ['all-minilm-l6-v2', 'text', 768],
    ]);
    expect(list.data.every((b) => b.serving.edge && b.serving.bytes < 26_214_400)).toBe(true);
  });
});
