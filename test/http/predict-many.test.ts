/** One input, many heads: what costs is the network, and it runs once. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { makeDeps } from '../../functions/deps.ts';
import { predictMany } from '../../functions/usecases/predict/predict-many.ts';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { ManyPredictRequest } from '../../shared/wire/predictions.ts';
import { answer, bindings, call, newTenant } from '../setup/harness.ts';

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
