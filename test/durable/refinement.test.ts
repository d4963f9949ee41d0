/** Training in the background by the object's alarm: what it makes, what makes it stop, and that nothing of it outlives what it saw. */
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { decodeHead } from '../../shared/head-file.ts';
import { newId } from '../../shared/ids.ts';
import type { Classifier } from '../../functions/durable/classifier.ts';
import type { NewExample } from '../../functions/domain/classifier-object.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';
import { rowsWithinBudget } from '../../functions/learning/solve-budget.ts';
import { bindings } from '../setup/harness.ts';
import { deps } from '../setup/training.ts';

const D = 10;
const LABELS = Array.from({ length: 8 }, (_, c) => `class ${c}`);

function random(seed: number): () => number {
  let s = seed;
  return () => (s = (s * 1_664_525 + 1_013_904_223) % 4_294_967_296) / 4_294_967_296 - 0.5;
}
const placeOf = (v: Float32Array): number => Math.min(7, Math.max(0, Math.floor(4 + 8 * (v[0]! / Math.hypot(...v)))));

/** Classes in a row along one direction, or labels that say nothing. */
function examples(n: number, seed: number, sense: boolean): NewExample[] {
  const next = random(seed);
  return Array.from({ length: n }, (_, i) => {
    const base = Float32Array.from({ length: D }, next);
    const label = LABELS[sense ? placeOf(base) : i % 8]!;
    return {
      id: newId('example'),
      labels: [label],
      base,
      tuned: null,
      sha256: `${seed}-${(i * 7_919) % 10_007}`,
      contentType: null,
      objectKey: null,
      externalId: null,
    };
  });
}

async function classifier(n: number, sense = true, unseen: readonly string[] = []) {
  const id = newId('classifier');
  const object = deps.classifier(id);
  const config = {
    id,
    tenant: 'ten_1',
    modality: 'vector',
    backbone: null,
    dimension: D,
    transform: 'l2',
    task: 'single_label',
    falseRejectRate: 0.05,
  } as const;
  await object.create(
    config,
    unseen.map((name) => ({ name, description: null, embedding: null })),
  );
  await object.enroll(examples(n, n, sense), []);
  const stub = bindings.CLASSIFIER.getByName(id) as unknown as DurableObjectStub<Classifier>;
  const alarm = async () => await runDurableObjectAlarm(stub);
  const refinement = async () =>
    ((await object.report()) as { refinement: { phase: string; step: number; steps: number; version: number | null } | null }).refinement;
  /** Bytes of weights that lie about. */
  const weights = async () =>
    await runInDurableObject(
      stub,
      (_, state) => state.storage.sql.exec<{ n: number }>("SELECT count(*) AS n FROM blobs WHERE key = 'refinement'").one().n,
    );
  return { object, alarm, refinement, weights };
}

async function untilDone(alarm: () => Promise<boolean>): Promise<number> {
  for (let slices = 0; slices < 50; slices++) if (!(await alarm())) return slices;
  throw new Error('the alarm never ends');
}

// Thousands of rows are solved several times: minutes where other things run beside it.
describe('a large classifier', { timeout: 240_000 }, () => {
  it('gets a better head in the background, as a version with its evidence, and keeps no weights', async () => {
    const { object, alarm, refinement, weights } = await classifier(1_000);
    const before = (await object.listVersions())[0]!;
    expect(await refinement()).toBeNull();
    await alarm();
    expect(await weights()).toBe(1);
    expect(await refinement()).toMatchObject({ phase: 'training', of_version: before.n, step: 0 });
    expect(await untilDone(alarm)).toBeGreaterThan(1);
    const after = (await object.listVersions())[0]!;
    expect(after).toMatchObject({ n: before.n + 1, kind: 'instant', active: true, parent: before.n });
    expect(after.evidence).toMatchObject({ refinement: { better: true } });
    expect((after.evidence as { method: string }).method).toContain('logistic');
    expect(await refinement()).toMatchObject({ phase: 'done', version: after.n, evidence: { better: true } });
    // A job's held-out rows are taken out of the version before, and not out of this one: solved at once it would be weaker than what is served.
    const [one] = (await object.listExamples({ limit: 1, after: null, label: null })).data;
    expect([await object.headWithout(before.n, [one!.id]), await object.headWithout(after.n, [one!.id])]).toEqual([expect.any(Uint8Array), null]);
    expect(await weights()).toBe(0);
    const heads = await Promise.all([before.n, after.n].map(async (n) => await object.headOf(n)));
    const probes = examples(400, 77, true);
    const [old, refined] = heads.map((h) => {
      if (!h.ok || !h.value.head) throw new Error('a version has a head');
      const head = decodeHead(h.value.head);
      return probes.filter((e) => scoreHead(head, { base: e.base, tuned: null }).scores[0]!.label === e.labels[0]).length;
    }) as [number, number];
    expect(refined).toBeGreaterThan(old);
    // Once is enough.
    expect(await alarm()).toBe(false);
  });

  it('keeps its head where gradients know no better, and says so', async () => {
    const { object, alarm, refinement, weights } = await classifier(1_000, false);
    await untilDone(alarm);
    expect((await object.listVersions())[0]!.kind).toBe('instant');
    expect(await refinement()).toMatchObject({ phase: 'done', version: null, evidence: { better: false } });
    expect(await weights()).toBe(0);
  });

  it('drops a run, weights and all, when an example is enrolled or forgotten meanwhile, and starts over with what is there', async () => {
    const { object, alarm, refinement, weights } = await classifier(1_002);
    await alarm();
    await alarm();
    expect((await refinement())!.step).toBeGreaterThan(0);
    const [added] = examples(1, 5, true);
    await object.enroll([added!], []);
    expect([await weights(), await refinement()]).toEqual([0, null]);
    await alarm();
    await alarm();
    expect(await weights()).toBe(1);
    await object.deleteExample(added!.id);
    expect([await weights(), await refinement()]).toEqual([0, null]);
    const latest = (await object.listVersions())[0]!.n;
    await untilDone(alarm);
    expect((await object.listVersions())[0]).toMatchObject({ n: latest + 1, parent: latest });
    const listed = await object.listExamples({ limit: 2_000, after: null, label: null });
    expect(listed.data).toHaveLength(1_002);
  });

  it('leaves a version alone that somebody went back to', async () => {
    const { object, alarm, weights } = await classifier(1_000);
    await object.enroll(examples(1, 6, true), []);
    await alarm();
    const latest = (await object.listVersions())[0]!.n;
    const active = async () => (await object.listVersions()).find((v) => v.active)!.n;
    await object.activateVersion(latest - 1);
    await untilDone(alarm);
    expect([await weights(), await active(), (await object.listVersions())[0]!.n]).toEqual([0, latest - 1, latest]);
    // The first one has no head any more, and comes back as a new version.
    await object.activateVersion(1);
    await untilDone(alarm);
    expect((await object.listVersions())[0]).toMatchObject({ n: latest + 1, kind: 'restored', active: true });
  });

  it('with a label that has no example yet is left as it is', async () => {
    const { object, alarm, refinement } = await classifier(1_000, true, ['unseen']);
    const { n } = (await object.listVersions())[0]!;
    await untilDone(alarm);
    expect(await refinement()).toBeNull();
    expect((await object.listVersions())[0]!.n).toBe(n);
  });

  it('of a few examples never wakes up', async () => {
    const { alarm } = await classifier(100);
    expect(await alarm()).toBe(false);
  });
});

it('solves from as many long vectors as an instant solve may cost, and says of how many', { timeout: 240_000 }, async () => {
  const [n, d] = [820, 4_096];
  const id = newId('classifier');
  const object = deps.classifier(id);
  await object.create(
    { id, tenant: 'ten_1', modality: 'vector', backbone: null, dimension: d, transform: 'l2', task: 'single_label', falseRejectRate: null },
    [],
  );
  const next = random(3);
  const rows = Array.from({ length: n }, (_, i): NewExample => {
    const base = Float32Array.from({ length: d }, (_value, j) => next() + (j % 4 === i % 4 ? 0.3 : 0));
    const sha256 = String((i * 7_919) % 10_007);
    return { id: newId('example'), labels: [`class ${i % 4}`], base, tuned: null, sha256, contentType: null, objectKey: null, externalId: null };
  });
  await object.enroll(rows, []);
  const { evidence } = (await object.listVersions())[0]! as { evidence: { examples: number; enrolled: number; left_out_accuracy: number } };
  expect(evidence.enrolled).toBe(n);
  expect(evidence.examples).toBe(rowsWithinBudget({ examples: n, dimension: d, labels: 4, background: 0 }));
  expect(evidence.examples).toBeLessThan(n);
  expect(evidence.left_out_accuracy).toBeGreaterThan(0.9);
});
