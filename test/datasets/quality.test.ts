/** The quality report of a dataset: taken with the validation, named by file and line, read whole or as a file. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DATASET_ERRORS_MAX_BYTES, DATASET_LABEL_NAMES_MAX_BYTES, LABEL_NAME_MAX_CHARS } from '../../shared/limits.ts';
import type { DatasetIssue } from '../../shared/quality.ts';
import { Dataset, DatasetQuality } from '../../shared/wire/datasets.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';
import {
  clearQueue,
  deps,
  frozenFiles,
  lease,
  named,
  publishTinyBackbone,
  readyDataset,
  runner,
  sendFiles,
  uploadedDataset,
} from '../setup/training.ts';

let key = '';
beforeAll(async () => {
  ({ key } = await newTenant());
  await publishTinyBackbone();
});
beforeEach(clearQueue);

const issue = (row: number): DatasetIssue => ({
  code: 'label_issue',
  row,
  score: 0.9,
  suggested: 'pear',
  with: null,
  detail: `Row ${row} looks like a pear.`,
  file: `${row}.png`,
  line: null,
  with_file: null,
  with_line: null,
});
/** A row of the upload that is not in the dataset. */
const copy: DatasetIssue = { ...issue(0), code: 'duplicate', row: null, suggested: null, detail: 'The same content as 0.png.', file: 'copy.png' };
const inspection = (issues: number) => ({
  rows: 12,
  backbone: 'tiny-image',
  summary: issues > 0 ? { label_issue: issues } : {},
  label_noise: 0.1,
  cross_validated_accuracy: 0.8,
  class_balance: { smallest: 6, largest: 6, effective_classes: 2 },
  split_shift: null,
  left_out: issues > 0 ? { duplicate: 1 } : {},
});

/** A dataset whose host found `issues`. */
async function inspected(issues: number): Promise<string> {
  const { id } = await uploadedDataset(key);
  const leased = await lease(['validate']);
  const { files, manifest } = await frozenFiles();
  if (issues > 0) {
    const text = [...Array.from({ length: issues }, (_, i) => issue(i % 12)), copy].map((line) => `${JSON.stringify(line)}\n`).join('');
    const report = { name: 'quality.jsonl', bytes: new TextEncoder().encode(text) };
    files.push(report);
    manifest.files.push(await named(report));
  }
  await sendFiles(leased.token, files);
  const request = { kind: 'validate', ready: true, manifest, errors: [], error_count: 0, inspection: inspection(issues) };
  const done = await runner(`leases/${leased.token}/complete`, request);
  expect(done.status, await done.text()).toBe(200);
  return id;
}
const quality = async (id: string) => await answer(await call(`/v1/datasets/${id}/quality`, { key }), 200, DatasetQuality);

describe('the quality report', () => {
  it('names each finding and counts them, and what is not in the dataset', async () => {
    const id = await inspected(3);
    expect(await quality(id)).toEqual({
      object: 'dataset.quality',
      dataset: id,
      ...inspection(3),
      issues: [issue(0), issue(1), issue(2), copy],
      has_more: false,
    });
    const file = await call(`/v1/datasets/${id}/quality.jsonl`, { key });
    expect(file.headers.get('content-type')).toBe('text/jsonl; charset=utf-8');
    const text = await file.text();
    expect(file.headers.get('content-length')).toBe(String(text.length));
    expect(
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([issue(0), issue(1), issue(2), copy]);
  });

  it('shows the first thousand and says that there are more', async () => {
    const id = await inspected(1_001);
    const shown = await quality(id);
    expect([shown.issues.length, shown.has_more, shown.summary]).toEqual([1_000, true, { label_issue: 1_001 }]);
    expect((await (await call(`/v1/datasets/${id}/quality.jsonl`, { key })).text()).trim().split('\n')).toHaveLength(1_002);
  });

  it('may have found nothing', async () => {
    const id = await inspected(0);
    expect(await quality(id)).toMatchObject({ issues: [], has_more: false, label_noise: 0.1 });
    expect(await (await call(`/v1/datasets/${id}/quality.jsonl`, { key })).text()).toBe('');
  });

  it('says why there is none: not looked at yet, or never', async () => {
    const waiting = await answer(await call('/v1/datasets', { key, json: { name: 'd', modality: 'image', format: 'imagefolder' } }), 201, Dataset);
    await problem(await call(`/v1/datasets/${waiting.id}/quality`, { key }), 'dataset_not_ready');
    const plain = await readyDataset(key);
    expect((await problem(await call(`/v1/datasets/${plain.id}/quality`, { key }), 'not_found')).detail).toContain('no quality report');
    await problem(await call(`/v1/datasets/${plain.id}/quality.jsonl`, { key }), 'not_found');
  });

  it('is another tenant’s business', async () => {
    const id = await inspected(1);
    const stranger = (await newTenant()).key;
    for (const path of ['quality', 'quality.jsonl']) await problem(await call(`/v1/datasets/${id}/${path}`, { key: stranger }), 'not_found');
  });
});

it('a dataset with the longest names and errors that it may have is a row that D1 takes', async () => {
  const name = (n: number) => `${n} `.padEnd(LABEL_NAME_MAX_CHARS, 'x');
  const labels = Array.from({ length: Math.floor(DATASET_LABEL_NAMES_MAX_BYTES / LABEL_NAME_MAX_CHARS) }, (_, n) => name(n));
  const counts = Object.fromEntries(labels.map((label) => [label, 100_000]));
  const fault = { file: 'a.jsonl', line: 1, code: 'text_missing', detail: 'x'.repeat(500) };
  const errors = Array.from({ length: Math.floor(DATASET_ERRORS_MAX_BYTES / JSON.stringify(fault).length) }, () => fault);
  const made = await readyDataset(key, { labels, counts: { train: counts, validation: counts, test: counts }, errors, error_count: errors.length });
  expect([made.labels?.length, made.errors.length]).toEqual([labels.length, errors.length]);
  const row = await deps.d1.prepare('select * from datasets where id = ?').bind(made.id).first();
  // Miniflare takes longer ones.
  expect(Object.values(row!).join('').length).toBeLessThan(2_000_000);
});
