/** Validates an upload and freezes it as arrays: every bad row is named by file and line and left out, the rest becomes the dataset. */
import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Task as Labelling } from '../../../shared/catalogue.ts';
import { UNLABELLED, type DatasetManifest, type FrozenRow } from '../../../shared/dataset.ts';
import { GraftError, type ErrorDetail } from '../../../shared/errors.ts';
import { DATASET_ERRORS_KEPT, DATASET_ERRORS_MAX_BYTES, DATASET_MAX_ROWS } from '../../../shared/limits.ts';
import type { Decoder } from '../../../shared/preprocess/decoder.ts';
import type { Tokenizer } from '../../../shared/preprocess/wordpiece.ts';
import { ArrayWriter, type Row, type WrittenFile } from '../array-writer.ts';
import { sha256OfFile } from '../transfer.ts';
import { LeftOutRows, type LeftOut } from './left-out.ts';
import { RowError } from './row-error.ts';
import type { OnError, SourceRow, Split } from './sources.ts';
import { assignSplits } from './split.ts';
import { checkCounts, checkTasks, labelsOf, settleTasks, strataOf, taskColumn, type Task } from './tasks.ts';

/** Replacement characters, and the zeros of UTF-16 that was read as bytes; the tokeniser drops both. */
const LOST = /[\uFFFD\0]/g;

export type Frozen = {
  readonly manifest: DatasetManifest | null;
  readonly errors: ErrorDetail[];
  readonly errorCount: number;
  readonly files: readonly string[];
  /** Short side of each row's original picture, in row order; null for texts. */
  readonly shortSides?: readonly (number | null)[];
  /** Characters of each row's text that stand for lost bytes, in row order; 0 for pictures. */
  readonly lostCharacters?: readonly number[];
  /** Rows of the upload that are not in the dataset; null when all are. */
  readonly leftOut?: LeftOut | null;
};
type Kept = {
  file: string;
  line?: number;
  label: string | null;
  labels?: readonly string[] | null;
  tasks?: ReadonlyMap<string, string>;
  split: Split | null;
  sha256: string;
  shortSide: number | null;
  lost: number;
};

export type FreezeInput = {
  readonly modality: 'image' | 'text';
  /** `multi_label`: every row that `rows` gives has `labels`. */
  readonly task: Labelling;
  readonly rows: (onError: OnError) => AsyncIterable<SourceRow>;
  readonly encode: { readonly decoder: Decoder } | { readonly tokenizer: Tokenizer };
  readonly folder: string;
  readonly splitSeed: number;
  readonly onProgress: (rows: number) => void;
  readonly signal: AbortSignal;
};

/** Never throws for what is wrong with the data; `manifest` is null when nothing usable is left, and `errors` says why. */
export async function freezeDataset(input: FreezeInput): Promise<Frozen> {
  const errors: ErrorDetail[] = [];
  const aside = new LeftOutRows(path.join(input.folder, 'left-out.jsonl'));
  let errorCount = 0;
  let errorBytes = 0;
  const report: OnError = (error) => {
    // An upload may hold nothing but bad rows, and then no row is where it could be asked.
    input.signal.throwIfAborted();
    errorCount++;
    const detail = error.toDetail();
    aside.add(detail);
    errorBytes += Buffer.byteLength(JSON.stringify(detail));
    if (errors.length < DATASET_ERRORS_KEPT && errorBytes < DATASET_ERRORS_MAX_BYTES) errors.push(detail);
  };
  const kept: Kept[] = [];
  let tasks: Task[] = [];
  const seen = new Map<string, Kept>();
  const writer = await ArrayWriter.create(input.modality, path.join(input.folder, 'rows.scratch'));
  try {
    for await (const source of input.rows(report)) {
      input.signal.throwIfAborted();
      try {
        const sha256 = createHash('sha256').update(source.bytes).digest('hex');
        checkRepeated(source, seen.get(sha256));
        if (kept.length >= DATASET_MAX_ROWS) throw new RowError('too_many_rows', `The dataset has more than ${DATASET_MAX_ROWS} rows.`);
        const { row: encoded, ...original } = encode(source, input.encode);
        await writer.add(encoded);
        const { bytes: _bytes, ...facts } = source;
        const row = { ...facts, sha256, ...original };
        kept.push(row);
        seen.set(sha256, row);
        input.onProgress(kept.length);
      } catch (error) {
        if (!(error instanceof RowError) || error.file === undefined) throw error;
        report(error);
      }
    }
    tasks = settleTasks(kept);
    checkUsable(kept, tasks, report);
  } catch (error) {
    await writer.discard();
    aside.discard();
    if (!(error instanceof RowError)) throw error;
    report(error);
    return { manifest: null, errors: [error.toDetail(), ...errors.filter((e) => e.detail !== error.toDetail().detail)], errorCount, files: [] };
  }
  const leftOut = aside.close();
  const labels = [...new Set(kept.flatMap((r) => labelsOf(r) ?? []))].toSorted();
  const splits = assignSplits(
    kept.map((r) => ({ strata: strataOf(r), split: r.split, sha256: r.sha256 })),
    input.splitSeed,
  );
  const files = await write(input, writer, kept, { labels, tasks, splits });
  const manifest: DatasetManifest = {
    format: 'graft-dataset-1',
    modality: input.modality,
    task: input.task,
    labels,
    rows: kept.length,
    counts: countRows(kept, labels, splits),
    unlabelled: kept.filter((r) => strataOf(r).length === 0).length,
    digest: createHash('sha256')
      .update(files.map((f) => f.sha256).join('\n'))
      .digest('hex'),
    files: [...files],
    tasks,
    errors,
    error_count: errorCount,
    split_seed: input.splitSeed,
  };
  return { manifest, errors, errorCount, files: files.map((f) => path.join(input.folder, f.name)), ...originals(kept), leftOut };
}

const originals = (kept: readonly Kept[]): Pick<Frozen, 'shortSides' | 'lostCharacters'> => ({
  shortSides: kept.map((r) => r.shortSide),
  lostCharacters: kept.map((r) => r.lost),
});

function checkRepeated(source: SourceRow, before: Kept | undefined): void {
  if (!before) return;
  const where = before.line === undefined ? before.file : `${before.file} line ${before.line}`;
  if (before.label === source.label && sameLabels(before.labels, source.labels) && sameTasks(before.tasks, source.tasks))
    throw new RowError('duplicate', `The same content as ${where}; the first one is kept.`, source.file, source.line);
  throw new RowError(
    'label_conflict',
    before.label === source.label
      ? `The same content as ${where}, which has other labels; the first one is kept.`
      : `The same content as ${where}, which has the label "${before.label}"; the first one is kept.`,
    source.file,
    source.line,
  );
}

function sameLabels(a: SourceRow['labels'], b: SourceRow['labels']): boolean {
  if (!a || !b) return a === b;
  return a.length === b.length && a.every((label) => b.includes(label));
}

function sameTasks(a: SourceRow['tasks'], b: SourceRow['tasks']): boolean {
  return (a?.size ?? 0) === (b?.size ?? 0) && [...(a ?? [])].every(([name, label]) => b?.get(name) === label);
}

function encode(source: SourceRow, by: FreezeInput['encode']): { row: Row; shortSide: number | null; lost: number } {
  if ('tokenizer' in by) {
    const text = new TextDecoder().decode(source.bytes);
    return { row: { kind: 'text', ids: by.tokenizer(text) }, shortSide: null, lost: text.match(LOST)?.length ?? 0 };
  }
  try {
    const { pixels, width, height } = by.decoder.decodeSquare(source.bytes);
    return { row: { kind: 'image', pixels }, shortSide: Math.min(width, height), lost: 0 };
  } catch (error) {
    if (error instanceof GraftError) throw new RowError(error.code, error.message, source.file, source.line);
    throw error;
  }
}

/** What a job could not use as a whole. Throws RowError without a file. */
function checkUsable(kept: readonly Kept[], tasks: readonly Task[], report: OnError): void {
  if (kept.length === 0) throw new RowError('dataset_empty', 'There is no usable row.');
  if (tasks.length > 0) return checkTasks(tasks, report);
  const counts = new Map<string, number>();
  for (const r of kept) for (const label of labelsOf(r) ?? []) counts.set(label, (counts.get(label) ?? 0) + 1);
  // None at all: a wholly unlabelled target domain.
  checkCounts(Object.fromEntries(counts), null, report);
}

function countRows(kept: readonly Kept[], labels: readonly string[], splits: readonly Split[]): DatasetManifest['counts'] {
  const empty = (): Record<string, number> => Object.fromEntries(labels.map((l) => [l, 0]));
  const counts = { train: empty(), validation: empty(), test: empty() };
  for (const [i, r] of kept.entries()) for (const label of labelsOf(r) ?? []) counts[splits[i]!][label]! += 1;
  return counts;
}

async function write(
  { folder, task }: FreezeInput,
  writer: ArrayWriter,
  kept: readonly Kept[],
  { labels, tasks, splits }: { labels: readonly string[]; tasks: readonly Task[]; splits: readonly Split[] },
): Promise<WrittenFile[]> {
  const place = new Map(labels.map((l, i) => [l, i]));
  const number = { train: 0, validation: 1, test: 2 };
  const several = task === 'multi_label';
  const arrays = await writer.finish(path.join(folder, 'dataset.safetensors'), {
    labels: Int32Array.from(kept, (r) => (labelsOf(r) === null ? UNLABELLED : several ? 0 : place.get(r.label!)!)),
    present: several ? { labels: labels.length, rows: kept.map((r) => (r.labels ?? []).map((label) => place.get(label)!)) } : null,
    split: Uint8Array.from(splits, (s) => number[s]),
    tasks: tasks.map((one) => taskColumn(kept, one)),
  });
  const file = path.join(folder, 'rows.jsonl');
  const out = await open(file, 'w');
  try {
    for (const [i, r] of kept.entries()) {
      const row: FrozenRow = {
        row: i,
        file: r.file,
        label: r.label,
        ...(several ? { labels: r.labels ? [...r.labels] : null } : {}),
        split: splits[i]!,
        sha256: r.sha256,
        ...(r.line === undefined ? {} : { line: r.line }),
        ...(tasks.length > 0 ? { tasks: Object.fromEntries(r.tasks ?? []) } : {}),
      };
      await out.write(`${JSON.stringify(row)}\n`);
    }
    await out.sync();
  } finally {
    await out.close();
  }
  return [arrays, { name: 'rows.jsonl', sha256: await sha256OfFile(file), bytes: (await readFile(file)).length }];
}
