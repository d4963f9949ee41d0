/** Verification over HTTP against the real object: from one example on, with counted and extrapolated thresholds, and everything that is refused. */
import { describe, expect, it } from 'vitest';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { Verification } from '../../shared/wire/verification.ts';
import { answer, bindings, call, newTenant, problem } from '../setup/harness.ts';
import { packPictures } from '../setup/pack.ts';

const D = 24;
let seed = 1;
/** A vector near the axis of its label, another each time, the same in every run. */
function vectorOf(axis: number, spread = 0.1): number[] {
  seed += 1;
  return Array.from({ length: D }, (_, j) => (j === axis ? 1 : 0) + spread * Math.sin(seed * 12.9898 + j * 78.233) * Math.cos(seed * j * 3.7));
}

async function make(key: string, more: object = {}): Promise<string> {
  const json = { name: 'faces', modality: 'vector', dimension: D, ...more };
  return (await answer(await call('/v1/classifiers', { key, json }), 201, Classifier)).id;
}
async function enroll(key: string, id: string, examples: object[]): Promise<EnrollAnswer> {
  return await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
}
const verify = async (key: string, id: string, json: object) =>
  await answer(await call(`/v1/classifiers/${id}/verify`, { key, json }), 200, Verification);

describe('verification', () => {
  it('works from one example on, and says that it promises nothing yet', async () => {
    const { key } = await newTenant();
    const id = await make(key);
    const { version } = await enroll(key, id, [{ label: 'ann', vector: vectorOf(0) }]);
    const same = await verify(key, id, { label: 'ann', vector: vectorOf(0, 0.01) });
    expect(same).toMatchObject({
      object: 'verification',
      classifier: id,
      version,
      label: 'ann',
      false_accept_rate: 0.01,
      promised: false,
      impostors: 0,
    });
    expect(same.detail).toContain('no impostor');
    const other = await verify(key, id, { label: 'ann', vector: vectorOf(1) });
    expect(other.match).toBe(false);
    expect(other.similarity).toBeLessThan(0.5);
  });

  it('counts where it can, extrapolates where it cannot, and tells which', async () => {
    const { key } = await newTenant();
    const id = await make(key);
    const others = Array.from({ length: 60 }, (_, i) => ({ label: `p-${i % 20}`, vector: vectorOf(1 + (i % 20)) }));
    await enroll(key, id, others);
    await enroll(
      key,
      id,
      [0, 1, 2, 3].map(() => ({ label: 'ann', vector: vectorOf(0) })),
    );
    const counted = await verify(key, id, { label: 'ann', vector: vectorOf(0), false_accept_rate: 0.05 });
    expect(counted).toMatchObject({ match: true, promised: true, impostors: 60, false_accept_rate: 0.05 });
    expect(counted.detail).toContain('60 impostors');
    const extrapolated = await verify(key, id, { label: 'ann', vector: vectorOf(0) });
    expect(extrapolated).toMatchObject({ match: true, promised: false, impostors: 60 });
    expect(extrapolated.detail).toContain('1.64 %');
    expect(extrapolated.detail).toContain('extrapolated');
    expect(extrapolated.threshold).toBeGreaterThanOrEqual(counted.threshold);
    for (let i = 1; i <= 20; i++) expect((await verify(key, id, { label: 'ann', vector: vectorOf(i) })).match).toBe(false);
    const server = await call(`/v1/classifiers/${id}/verify`, { key, json: { label: 'ann', vector: vectorOf(0) } });
    expect(server.headers.get('server-timing')).toMatch(/score;dur=/);
  });

  it('knows every change at once: more examples, forgotten ones, labels renamed, rollback', async () => {
    const { key } = await newTenant();
    const id = await make(key);
    const first = await enroll(key, id, [
      { label: 'ann', vector: vectorOf(0) },
      { label: 'bob', vector: vectorOf(1) },
    ]);
    const before = await verify(key, id, { label: 'ann', vector: vectorOf(5, 0) });
    const second = await enroll(key, id, [{ label: 'ann', vector: vectorOf(5, 0.02) }]);
    const after = await verify(key, id, { label: 'ann', vector: vectorOf(5, 0) });
    expect(after.version).toBe(second.version);
    expect(after.similarity).toBeGreaterThan(before.similarity);
    const rolled = await call(`/v1/classifiers/${id}/versions/${first.version}/activate`, { key, method: 'POST' });
    expect(rolled.status).toBe(200);
    expect((await verify(key, id, { label: 'ann', vector: vectorOf(5, 0) })).similarity).toBeCloseTo(before.similarity, 6);
    await call(`/v1/classifiers/${id}/examples/${first.data[1]!.id}`, { key, method: 'DELETE' });
    await call(`/v1/classifiers/${id}/labels/ann`, { key, method: 'PATCH', json: { name: 'anna' } });
    const renamed = await verify(key, id, { label: 'anna', vector: vectorOf(0) });
    expect(renamed.impostors).toBe(0);
    await problem(await call(`/v1/classifiers/${id}/verify`, { key, json: { label: 'ann', vector: vectorOf(0) } }), 'unknown_label');
  });

  it('compares an example of several labels with each of them', async () => {
    const { key } = await newTenant();
    const id = await make(key, { task: 'multi_label' });
    await enroll(key, id, [
      { labels: ['red', 'round'], vector: vectorOf(0) },
      { labels: ['red'], vector: vectorOf(1) },
    ]);
    expect(await verify(key, id, { label: 'round', vector: vectorOf(0, 0) })).toMatchObject({ impostors: 1 });
    expect(await verify(key, id, { label: 'red', vector: vectorOf(0, 0) })).toMatchObject({ impostors: 0 });
  });

  it('refuses what cannot be verified, saying why', async () => {
    const { key } = await newTenant();
    const id = await make(key, { labels: [{ name: 'ann' }] });
    const tell = async (json: object, code: Parameters<typeof problem>[1]) =>
      await problem(await call(`/v1/classifiers/${id}/verify`, { key, json }), code);
    expect((await tell({ label: 'ann', vector: vectorOf(0) }, 'nothing_to_predict')).detail).toContain('no example');
    const unknown = await tell({ label: 'eve', vector: vectorOf(0) }, 'unknown_label');
    expect(unknown.detail).toContain('eve');
    expect(unknown.detail).toContain('ann');
    await tell({ label: 'ann', vector: [1, 2] }, 'dimension_mismatch');
    await tell({ label: 'ann', text: 'ann' }, 'unprocessable');
    await tell({ label: 'ann' }, 'invalid_request');
    expect((await tell({ label: 'ann', vector: vectorOf(0), false_accept_rate: 0 }, 'invalid_request')).param).toBe('false_accept_rate');
    await problem(await call('/v1/classifiers/cls_nobody/verify', { key, json: { label: 'ann', vector: vectorOf(0) } }), 'not_found');
    await problem(await call(`/v1/classifiers/${id}/verify`, { key: (await newTenant()).key, json: { label: 'ann', vector: [1] } }), 'not_found');
  });
});

describe.skipIf(!bindings.HAS_BACKBONES)('verification of pictures', () => {
  it('tells one kind from the others with a single example, counted over the background', async () => {
    const { key } = await newTenant();
    const id = (await answer(await call('/v1/classifiers', { key, json: { name: 'birds', modality: 'image' } }), 201, Classifier)).id;
    const base64 = (bytes: Uint8Array) => btoa(bytes.reduce((text, b) => text + String.fromCharCode(b), ''));
    await enroll(key, id, [{ label: 'bird', image: base64(packPictures('bird')[0]!) }]);
    let [right, wrong] = [0, 0];
    for (let i = 1; i <= 4; i++) {
      const bird = await verify(key, id, { label: 'bird', image: base64(packPictures('bird')[i]!), false_accept_rate: 0.05 });
      expect(bird.promised).toBe(true);
      right += bird.match ? 1 : 0;
      const building = await verify(key, id, { label: 'bird', image: base64(packPictures('building')[i]!), false_accept_rate: 0.05 });
      wrong += building.match ? 1 : 0;
    }
    expect(right).toBeGreaterThanOrEqual(3);
    expect(wrong).toBe(0);
  });
});
