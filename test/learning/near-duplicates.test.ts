/** Pairs among very many examples: those compared are bounded, equal bytes are not. */
import { describe, expect, it } from 'vitest';
import { comparableRows, nearDuplicates } from '../../functions/learning/near-duplicates.ts';

describe('near duplicates', () => {
  it('are looked for among as many rows as a second pays for; equal bytes among all of them', () => {
    const dimension = 4_096;
    const limit = comparableRows(dimension);
    expect(limit).toBeGreaterThan(300);
    const count = limit + 50;
    const rows = Array.from({ length: count }, (_, i) => ({ id: `ex_${i}`, sha256: `s${i}`, labelsOf: [i % 2] }));
    rows.push({ id: 'ex_again', sha256: 's7', labelsOf: [0] });
    let asked = 0;
    const started = performance.now();
    const { pairs, compared } = nearDuplicates(rows, dimension, 0.97, (drawn) => {
      asked = drawn.length;
      return drawn.map((_, i) => {
        const unit = new Float64Array(dimension);
        unit[i] = 1;
        return unit;
      });
    });
    expect(performance.now() - started).toBeLessThan(5_000);
    expect([asked, compared]).toEqual([limit, limit]);
    expect(pairs).toEqual([{ id: 'ex_again', with: 'ex_7', similarity: 1, sameBytes: true }]);
  });
});
