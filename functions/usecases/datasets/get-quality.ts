/** What validation found by looking at the rows: the report, and the file with every finding. */
import { DatasetManifest } from '../../../shared/dataset.ts';
import { GraftError } from '../../../shared/errors.ts';
import { QUALITY_ISSUES_SHOWN } from '../../../shared/limits.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import { DatasetIssue, InspectionSummary } from '../../../shared/quality.ts';
import type { DatasetQuality } from '../../../shared/wire/datasets.ts';
import type { Deps } from '../../deps.ts';
import type { DatasetRow } from '../../stores/datasets.ts';
import { needDataset } from './get-dataset.ts';

type Needs = Pick<Deps, 'db' | 'objects'>;
const FILE = 'quality.jsonl';

/** The summary with the first findings of `quality.jsonl`, which has them by code, surest first. */
export async function getQuality(deps: Needs, input: { tenant: string; id: string }): Promise<DatasetQuality> {
  const row = await needInspected(deps, input);
  const file = await openFile(deps, row);
  const { lines, more } = file ? await firstLines(file.body, QUALITY_ISSUES_SHOWN) : { lines: [], more: false };
  return {
    object: 'dataset.quality',
    dataset: row.id,
    ...InspectionSummary.parse(row.quality),
    issues: lines.map((line) => DatasetIssue.parse(JSON.parse(line))),
    has_more: more,
  };
}

/** All findings, one JSON object a line; no bytes when there is none. */
export async function openQualityFile(deps: Needs, input: { tenant: string; id: string }) {
  return await openFile(deps, await needInspected(deps, input));
}

async function needInspected(deps: Needs, input: { tenant: string; id: string }): Promise<DatasetRow> {
  const row = await needDataset(deps, input.tenant, input.id);
  if (row.status === 'awaiting_upload' || row.status === 'validating')
    throw new GraftError('dataset_not_ready', `The dataset is ${row.status}; its rows are looked at during validation.`);
  if (row.quality === null)
    throw new GraftError('not_found', 'There is no quality report of this dataset: it has no usable row, or its rows could not be embedded.');
  return row;
}

async function openFile(deps: Needs, row: DatasetRow) {
  const manifest = DatasetManifest.parse(row.manifest);
  if (row.frozenFence === null || !manifest.files.some((file) => file.name === FILE)) return null;
  const file = await deps.objects.getStream(objectKeys.frozen(row.tenantId, row.id, row.frozenFence, FILE));
  if (!file) throw new GraftError('unavailable', 'The file of the quality report cannot be read right now.');
  return file;
}

/** Reads no further than it must: the rest of the file is left where it is. */
async function firstLines(body: ReadableStream<Uint8Array>, count: number): Promise<{ lines: string[]; more: boolean }> {
  const lines: string[] = [];
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of body) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts.filter((line) => line !== ''));
    // Leaving the loop cancels the stream.
    if (lines.length > count) break;
  }
  return { lines: lines.slice(0, count), more: lines.length > count };
}
