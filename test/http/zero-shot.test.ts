/** Real pictures by the names of labels alone, and what the first examples do to them. */
import { env } from 'cloudflare:workers';
import { describe, expect, it, type TestContext } from 'vitest';
import { makeDeps } from '../../functions/deps.ts';
import { SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import { Classifier, UpdatedLabel } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { Prediction, PredictionList } from '../../shared/wire/predictions.ts';
import { answer, bindings, call, newTenant, problem } from '../setup/harness.ts';
import { packPictures } from '../setup/pack.ts';

const LABELS = ['mammal', 'meal', 'vehicle'] as const;
const { catalogue } = makeDeps(env as never);
const base64 = (bytes: Uint8Array) => btoa(bytes.reduce((text, b) => text + String.fromCharCode(b), ''));
const probes = LABELS.flatMap((label) =>
  packPictures(label)
    .slice(10, 20)
    .map((bytes) => ({ label, image: base64(bytes) })),
);

async function make(key: string, labels: readonly string[]): Promise<string> {
  const json = { name: 'test', modality: 'image', labels: labels.map((name) => ({ name })) };
  return (await answer(await call('/v1/classifiers', { key, json }), 201, Classifier)).id;
}

async function askAll(key: string, id: string, version = 0): Promise<{ right: number; answers: readonly Prediction[] }> {
  const json = { inputs: probes.map(({ image }) => ({ image })), min_version: version };
  const { data } = await answer(await call(`/v1/classifiers/${id}/predict`, { key, json }), 200, PredictionList);
  return { right: data.filter((a, i) => a.scores[0]?.label === probes[i]!.label).length, answers: data };
}

/** Backbones that were prepared before classes were kept answer as they did. */
async function needsClasses(context: TestContext): Promise<void> {
  const manifest = await catalogue.get(SHIPPED_BACKBONES.image);
  context.skip(!manifest?.classes, 'the prepared picture backbone has no named classes; run the set-up');
}

describe.skipIf(!bindings.HAS_BACKBONES)('pictures by name', () => {
  it('are told apart without an example, with a confidence that is no higher than it is right', async (context) => {
    await needsClasses(context);
    const { key } = await newTenant();
    const { right, answers } = await askAll(key, await make(key, LABELS));
    // Chance is 10 of 30; 95 % of guessers get fewer than 15.
    expect(right).toBeGreaterThanOrEqual(18);
    const confidence = answers.reduce((sum, a) => sum + a.confidence, 0) / answers.length;
    expect(confidence).toBeLessThan(right / probes.length + 0.1);
    expect(answers.filter((a) => a.unknown).length).toBeLessThan(6);
  });

  it('are refused with the reason when the backbone gives embeddings of another length than the classifier was made for', async () => {
    const { key } = await newTenant();
    const id = await make(key, LABELS);
    await bindings.DB.prepare('UPDATE classifiers SET dimension = 1280 WHERE id = ?').bind(id).run();
    const said = await problem(await call(`/v1/classifiers/${id}/predict`, { key, json: { image: probes[0]!.image } }), 'unprocessable');
    expect(said.detail).toContain('1472 values since another version');
    expect(said.detail).toContain('have 1280');
  });

  it('are told apart no worse after the first examples', async (context) => {
    await needsClasses(context);
    const { key } = await newTenant();
    const id = await make(key, LABELS);
    const before = await askAll(key, id);
    const enroll = async (label: string, picture: Uint8Array) => {
      const json = { examples: [{ label, image: base64(picture) }] };
      return (await answer(await call(`/v1/classifiers/${id}/examples`, { key, json }), 201, EnrollAnswer)).version;
    };
    const first = await askAll(key, id, await enroll('vehicle', packPictures('vehicle')[0]!));
    expect(first.right).toBeGreaterThanOrEqual(before.right - 1);
    let version = 0;
    for (const label of LABELS) version = await enroll(label, packPictures(label)[1]!);
    const each = await askAll(key, id, version);
    expect(each.right).toBeGreaterThanOrEqual(before.right - 2);
  });

  it('follow a new name or description of a label', async (context) => {
    await needsClasses(context);
    const { key } = await newTenant();
    const id = await make(key, ['mammal', 'class_b']);
    const [image] = packPictures('vehicle').slice(10).map(base64);
    const ask = async (version: number) => {
      const json = { image, min_version: version };
      const { scores } = await answer(await call(`/v1/classifiers/${id}/predict`, { key, json }), 200, Prediction);
      return scores.find((s) => s.label !== 'mammal')!.score;
    };
    const before = await ask(0);
    const path = `/v1/classifiers/${id}/labels/class_b`;
    const described = await call(path, { key, method: 'PATCH', json: { description: 'cars, buses and other vehicles on a road' } });
    const { version } = await answer(described, 200, UpdatedLabel);
    expect(await ask(version)).toBeGreaterThan(before);
  });
});
