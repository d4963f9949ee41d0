/** One input, many heads: what costs is the network, and it runs once. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { makeDeps } from '../../functions/deps.ts';
import { predictMany } from '../../functions/usecases/predict/predict-many.ts';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { ManyPredictRequest } from '../../shared/wire/predictions.ts';
import { answer, bindings, call, newTenant, problem } from '../setup/harness.ts';

describe('many heads at once', () => {
  it('are each answered as new as the caller asks', async () => {
    const { key, tenant } = await newTenant();
    const ids: string[] = [];
    const teach = async (id: string, label: string, vector: number[]) =>
      (await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples: [{ label, vector }] } }), 201, EnrollAnswer)).version;
    for (const name of ['one', 'other']) {
      const json = { name, modality: 'vector', dimension: 2, unknown: null };
      const { id } = await answer(await call('/v1/classifiers', { key, json }), 201, Classifier);
      await teach(id, 'right', [1, 0]);
      ids.push(id);
    }
    const [one, other] = [ids[0]!, ids[1]!];
    // Another isolate: it holds both heads, and hears of no write.
    const elsewhere = makeDeps(env as never);
    const ask = async (min_versions?: Record<string, number>) => {
      const request = ManyPredictRequest.parse({ classifiers: ids, vector: [0, 1], min_versions });
      return (await predictMany(elsewhere, tenant, request)).answered.map(({ prediction }) => prediction.version);
    };
    const [first, second] = await ask();
    const version = await teach(other, 'up', [0, 1]);
    expect(await ask({ [other]: version })).toEqual([first, version]);
    expect(version).toBeGreaterThan(second!);
    const refused = async (min_versions: Record<string, number>, code: 'unknown_version' | 'invalid_request') =>
      (await problem(await call('/v1/predict', { key, json: { classifiers: ids, vector: [0, 1], min_versions } }), code)).param;
    expect(await refused({ [one]: first! + 1 }, 'unknown_version')).toBe(`min_versions.${one}`);
    expect(await refused({ cls_other: 1 }, 'invalid_request')).toBe('min_versions');
  });
});

describe.skipIf(!bindings.HAS_BACKBONES)('many heads of one backbone', () => {
  it('share one run of the network', async () => {
    const { key, tenant } = await newTenant();
    const labels = [
      ['invoice', 'complaint'],
      ['urgent', 'calm'],
      ['french', 'german'],
    ];
    const classifiers: string[] = [];
    for (const names of labels) {
      const json = { name: 'test', modality: 'text', labels: names.map((name) => ({ name })), unknown: null };
      classifiers.push((await answer(await call('/v1/classifiers', { key, json }), 201, Classifier)).id);
    }
    const deps = makeDeps(env as never);
    let runs = 0;
    const encoder: typeof deps.encoder = {
      ...deps.encoder,
      encode: async (input, on) => {
        runs++;
        return await deps.encoder.encode(input, on);
      },
    };
    const request = ManyPredictRequest.parse({ classifiers, text: 'Please send me the bill again' });
    const { answered } = await predictMany({ ...deps, encoder }, tenant, request);
    expect(answered.map((a) => a.prediction.scores.map((s) => s.label).toSorted())).toEqual(labels.map((names) => names.toSorted()));
    expect(answered[0]!.prediction.label).toBe('invoice');
    expect(runs).toBe(1);
  });
});
