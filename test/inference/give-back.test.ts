/** What a run leaves behind is freed at once, and nothing that somebody else still reads. */
import { expect, test } from 'vitest';
import { giveBack } from '../../functions/inference/give-back.ts';

test('bytes are freed where they are its alone', () => {
  const own = new Float32Array(8);
  giveBack(own);
  expect(own.length).toBe(0);
  const shared = new Float32Array(8).fill(2);
  giveBack(shared.subarray(0, 4));
  expect([...shared]).toEqual(Array.from({ length: 8 }, () => 2));
  giveBack(['text']);
});
