/** What one request computes must not hold up the others. */
import { describe, expect, it, vi } from 'vitest';
import { GraftError } from '../../shared/errors.ts';
import type { Catalogue } from '../../functions/inference/catalogue.ts';
import type { Encoder } from '../../functions/inference/encoder.ts';
import { makeLabelVectors } from '../../functions/inference/label-vectors.ts';
import { eachInput } from '../../functions/usecases/predict/each-input.ts';

const RUN_MS = 30;
/** As a network does: computes, and lets nobody else in. */
function run(): void {
  const until = performance.now() + RUN_MS;
  while (performance.now() < until);
}

describe('a batch', () => {
  it('lets others be answered between its inputs', async () => {
    let answered = 0;
    const others = setInterval(() => answered++, 1);
    const results = await eachInput(
      [1, 2, 3, 4, 5, 6],
      (i) => `/inputs/${i}`,
      async (n) => {
        run();
        return n;
      },
    );
    clearInterval(others);
    expect(results).toEqual([1, 2, 3, 4, 5, 6]);
    expect(answered).toBeGreaterThanOrEqual(4);
  });

  it('does so where the clock stands still while a Worker computes', async () => {
    vi.spyOn(performance, 'now').mockReturnValue(1);
    const turns = vi.spyOn(globalThis, 'setTimeout');
    await eachInput(
      Array.from({ length: 12 }, (_, n) => n),
      (i) => `/inputs/${i}`,
      async (n) => n,
    );
    const breaths = turns.mock.calls.length;
    vi.restoreAllMocks();
    expect(breaths).toBeGreaterThanOrEqual(3);
  });

  it('of label names does, too', async () => {
    const encoder = {
      encode: async () => {
        run();
        return { base: new Float32Array([1, 0]), tuned: null, timings: { decode: 0, embed: 0, queue: 0 } };
      },
    } as unknown as Encoder;
    const catalogue = { get: async () => ({ id: 'words', modality: 'text' }) } as unknown as Catalogue;
    let answered = 0;
    const others = setInterval(() => answered++, 1);
    const vectors = await makeLabelVectors({ catalogue, read: async () => null, encoder }).of(['a', 'b', 'c', 'd'], 'words');
    clearInterval(others);
    expect(vectors).toHaveLength(4);
    expect(answered).toBeGreaterThanOrEqual(3);
  });

  it('still tells every fault, and at once what is nobody’s', async () => {
    const odd = async (n: number) => {
      if (n === 7) throw new Error('ours');
      if (n % 2) throw new GraftError('text_invalid', `${n} is odd.`, { param: 'text' });
      return n;
    };
    const at = (i: number) => `/inputs/${i}`;
    await expect(eachInput([1, 2, 3], at, odd)).rejects.toMatchObject({
      code: 'text_invalid',
      errors: [{ pointer: '/inputs/0/text' }, { pointer: '/inputs/2/text' }],
    });
    await expect(eachInput([1, 7], at, odd)).rejects.toThrow('ours');
  });
});
