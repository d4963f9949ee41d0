/** A dataset made from a classifier: what is not in it is said. */
import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import type { RowError } from '../../gpu-trainer/host/validate/row-error.ts';
import { fromExamples } from '../../gpu-trainer/host/validate-work.ts';
import { ValidateWork } from '../../shared/runner.ts';

const WORK = { kind: 'validate', dataset: 'ds_1', name: 'from', modality: 'text', format: 'classifier', columns: null, split_seed: 1, archive: null };

async function errorsOf(more: Partial<ValidateWork>): Promise<RowError[]> {
  const errors: RowError[] = [];
  const work = ValidateWork.parse({ ...WORK, examples: [], vocabulary: null, ...more });
  const rows = fromExamples(work, new AbortController().signal, tmpdir(), (error) => errors.push(error));
  for await (const row of rows) expect(row).toBeUndefined();
  return errors;
}

describe('a dataset made from a classifier', () => {
  it('says how many examples are rows of other datasets and not here', async () => {
    expect(await errorsOf({})).toEqual([]);
    const [error, ...others] = await errorsOf({ examples_of_datasets: 67 });
    expect(others).toEqual([]);
    expect(error?.toDetail()).toEqual({ code: 'examples_of_datasets', detail: expect.stringContaining('67 examples') });
  });
});
