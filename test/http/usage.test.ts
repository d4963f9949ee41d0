/** What is counted of predictions, and when. */
import { expect, it, vi } from 'vitest';
import { Usage } from '../../shared/wire/usage.ts';
import { recordPredictions } from '../../functions/usecases/usage/record-predictions.ts';
import { answer, call, newTenant } from '../setup/harness.ts';
import { deps } from '../setup/training.ts';

it('predictions are counted though the request that was to write the count was ended early', async () => {
  const { key, tenant } = await newTenant();
  const predictions = async () => (await answer(await call('/v1/usage', { key }), 200, Usage)).predictions;
  const background = (work: Promise<unknown>) => void work;
  // Its timer never rings: the platform has ended the request, and what it waited for with it.
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  recordPredictions(deps, tenant, 3, background);
  vi.clearAllTimers();
  vi.useRealTimers();
  // Before the first could be late, nobody doubts it.
  recordPredictions(deps, tenant, 1, background);
  const written: Promise<unknown>[] = [];
  recordPredictions({ ...deps, now: () => deps.now() + 60_000 }, tenant, 4, (work) => void written.push(work));
  expect(written).toHaveLength(1);
  await Promise.all(written);
  expect(await predictions()).toBe(8);
});
