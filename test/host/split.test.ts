/** How rows without a split are divided. */
import { describe, expect, it } from 'vitest';
import { assignSplits } from '../../gpu-trainer/host/validate/split.ts';
import { seededRandom } from '../../shared/statistics.ts';

type Strata = readonly (readonly string[])[];
const rowsOf = (strata: Strata) => strata.map((of, i) => ({ strata: of, split: null, sha256: `${(i * 7_919).toString(16)}-${i}` }));
const divide = (strata: Strata, seed = 1) => assignSplits(rowsOf(strata), seed);

/** Rows of a stratum in each part. */
function counts(strata: Strata, splits: readonly string[], stratum: string) {
  const of = { train: 0, validation: 0, test: 0 };
  for (const [i, own] of strata.entries()) if (own.includes(stratum)) of[splits[i] as keyof typeof of]++;
  return of;
}
const repeat = (n: number, strata: readonly string[]) => Array.from({ length: n }, () => strata);

describe('rows of one stratum each', () => {
  it('give 15 % of every class to each held-out part, and small classes give none', () => {
    const strata = [...repeat(40, ['a']), ...repeat(5, ['b']), ...repeat(4, ['c']), ...repeat(3, [])];
    const splits = divide(strata);
    expect(counts(strata, splits, 'a')).toEqual({ train: 28, validation: 6, test: 6 });
    expect(counts(strata, splits, 'b')).toEqual({ train: 3, validation: 1, test: 1 });
    expect(counts(strata, splits, 'c')).toEqual({ train: 4, validation: 0, test: 0 });
    expect(splits.slice(-3)).toEqual(['train', 'train', 'train']);
    // The same rows, the same side; another seed, others.
    expect(divide(strata)).toEqual(splits);
    expect(divide(strata, 2)).not.toEqual(splits);
  });

  it('that judge have not been trained on before others joined them', () => {
    const [before, after] = [divide(repeat(300, ['a'])), divide(repeat(500, ['a']))];
    const judging = before.flatMap((split, i) => (after[i] === 'test' ? [split] : []));
    expect(judging.length).toBeGreaterThan(30);
    // Validation lies between; it is trained on too where test rows judge, but only the few at its edge change sides.
    expect(judging).not.toContain('train');
    expect(judging.filter((split) => split === 'test').length / judging.length).toBeGreaterThan(0.85);
  });

  it('keep the splits that they came with', () => {
    const rows = [
      { strata: ['a'], split: 'test', sha256: '1' },
      { strata: ['a'], split: null, sha256: '2' },
    ] as const;
    expect(assignSplits(rows, 1)).toEqual(['test', 'train']);
  });
});

describe('rows of several strata', () => {
  it('leave every label with five rows in all three parts, whatever it comes with', () => {
    const random = seededRandom(11);
    for (let round = 0; round < 200; round++) {
      const names = Array.from({ length: 2 + Math.floor(random() * 8) }, (_, c) => `label-${c}`);
      const shares = names.map(() => random() ** 2);
      const strata = Array.from({ length: 20 + Math.floor(random() * 200) }, () => {
        const own = names.filter((_, c) => random() < shares[c]!);
        return own.length > 0 ? own : [''];
      });
      const splits = divide(strata, round);
      for (const name of ['', ...names]) {
        const of = counts(strata, splits, name);
        if (of.train + of.validation + of.test < 5) continue;
        expect([of.train > 0, of.validation > 0, of.test > 0], `${name} in round ${round}`).toEqual([true, true, true]);
      }
    }
  });

  it('move a row that trains where rarer labels placed all of its rows and none of them in a part', () => {
    // Each rare label gives one of its five rows to a part, and one of the five has the common label.
    const strata = Array.from({ length: 6 }, (_, c) => [[`rare-${c}`, 'common'], ...repeat(4, [`rare-${c}`])]).flat();
    for (let seed = 0; seed < 40; seed++) {
      const of = counts(strata, divide(strata, seed), 'common');
      expect([of.train > 0, of.validation > 0, of.test > 0], `seed ${seed}`).toEqual([true, true, true]);
    }
  });

  it('hold out about the same share of a rare label as of all', () => {
    const strata = [...repeat(20, ['rare', 'common']), ...repeat(180, ['common']), ...repeat(100, [''])];
    const splits = divide(strata);
    expect(counts(strata, splits, 'rare')).toEqual({ train: 14, validation: 3, test: 3 });
    expect(counts(strata, splits, 'common')).toEqual({ train: 140, validation: 30, test: 30 });
    expect(counts(strata, splits, '')).toEqual({ train: 70, validation: 15, test: 15 });
  });

  it('take rows of a class that is too small to be divided only where nothing else has the label', () => {
    const strata = [...repeat(3, ['tiny', 'common']), ...repeat(20, ['common'])];
    const splits = divide(strata);
    expect(counts(strata, splits, 'tiny')).toEqual({ train: 3, validation: 0, test: 0 });
    const pairs = ['p', 'q', 'r'].flatMap((tiny) => repeat(2, [tiny, 'common']));
    const of = counts(pairs, divide(pairs), 'common');
    expect([of.validation, of.test]).toEqual([1, 1]);
  });
});
