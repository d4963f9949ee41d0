/** A leased validation: fetch the upload, freeze it, upload the frozen files, report. */
import path from 'node:path';
import type { ValidateWork } from '../../shared/runner.ts';
import { GraftError } from '../../shared/errors.ts';
import { loadDecoder, loadTokenizer } from './inputs.ts';
import { inspectFrozen } from './inspect.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import { sendFiles } from './send-files.ts';
import type { Context } from './train-work.ts';
import { download, isGone, TransferRefused } from './transfer.ts';
import { freezeDataset, type Frozen } from './validate/freeze.ts';
import { checkLabels } from './validate/answers.ts';
import { RowError } from './validate/row-error.ts';
import { csvRows, jsonLines, pictureLines } from './validate/lines.ts';
import { checkLabel, imageFolder, type OnError, type SourceRow } from './validate/sources.ts';
import { readFile, rm } from 'node:fs/promises';

export async function validateDataset(c: Context, work: ValidateWork): Promise<void> {
  const { api, lease, keeper, folder } = c;
  const { inspection, ...frozen } = await inspectFrozen(c, work, await freeze(work, keeper, folder));
  if (frozen.manifest) {
    const named = new Map(frozen.manifest.files.map((file) => [file.name, file]));
    await sendFiles(
      c,
      frozen.files.map((file) => ({ file, ...named.get(path.basename(file))! })),
    );
  }
  await api.complete(lease.token, {
    kind: 'validate',
    ready: frozen.manifest !== null,
    manifest: frozen.manifest,
    errors: frozen.errors,
    error_count: frozen.errorCount,
    inspection,
  });
}

async function freeze(work: ValidateWork, keeper: LeaseKeeper, folder: string): Promise<Frozen> {
  const rejected = (error: RowError): Frozen => ({ manifest: null, errors: [error.toDetail()], errorCount: 1, files: [] });
  let rows: (onError: OnError) => AsyncIterable<SourceRow>;
  if (work.archive) {
    const { filename, ...from } = work.archive;
    const file = path.join(folder, 'upload');
    let bytes: number;
    try {
      ({ bytes } = await download(from, file, keeper.signal));
    } catch (error) {
      // The promised SHA-256 is the caller's own: other bytes are an invalid upload, not a fault of ours.
      if (error instanceof TransferRefused && error.status === null && from.sha256 !== null)
        return rejected(new RowError('checksum_mismatch', `The upload ${filename} does not have the promised SHA-256 ${from.sha256}.`, filename));
      throw error;
    }
    rows = (onError) => {
      if (work.format === 'imagefolder') return imageFolder(file, bytes, onError);
      if (work.modality === 'image') return pictureLines(file, bytes, onError, work);
      return work.format === 'jsonl' ? jsonLines(file, filename, onError, work) : csvRows(file, filename, work, onError);
    };
  } else rows = (onError) => fromExamples(work, keeper.signal, folder, onError);
  const encode = work.modality === 'image' ? { decoder: await loadDecoder() } : { tokenizer: await vocabulary(work, keeper, folder) };
  return await freezeDataset({
    modality: work.modality,
    task: work.task,
    rows,
    encode,
    folder,
    splitSeed: work.split_seed,
    onProgress: () => undefined,
    signal: keeper.signal,
  });
}

async function vocabulary(work: ValidateWork, keeper: LeaseKeeper, folder: string) {
  if (!work.vocabulary) throw new GraftError('internal', 'The lease of a text dataset has no vocabulary.');
  const file = path.join(folder, 'vocab.txt');
  await download(work.vocabulary, file, keeper.signal);
  return await loadTokenizer(file);
}

/** The originals of a classifier's examples as rows. */
export async function* fromExamples(work: ValidateWork, signal: AbortSignal, folder: string, onError: OnError): AsyncGenerator<SourceRow> {
  const file = path.join(folder, 'example');
  // Said, because the classifier counts them among its examples and a model of these rows alone would forget what only they show.
  const elsewhere = work.examples_of_datasets;
  if (elsewhere > 0)
    onError(
      new RowError(
        'examples_of_datasets',
        `${elsewhere} examples of the classifier are rows of datasets that it was trained on. They are in those datasets, not in this one.`,
      ),
    );
  for (const example of work.examples ?? []) {
    let labelled: Pick<SourceRow, 'label' | 'labels'>;
    try {
      labelled =
        work.task === 'multi_label'
          ? { label: null, labels: checkLabels(example.labels ?? [], example.id) }
          : { label: checkLabel(example.label ?? '', example.id) };
      await download(example.download, file, signal);
    } catch (error) {
      if (error instanceof RowError) onError(error);
      else if (!isGone(error)) throw error;
      else onError(new RowError('example_missing', 'The original of this example is no longer in object storage.', example.id));
      continue;
    }
    yield { file: example.id, ...labelled, split: null, bytes: new Uint8Array(await readFile(file)) };
  }
  await rm(file, { force: true });
}
