/** Originals of a classifier's examples on their way to a host: what a dataset made of them lacks is said, and what cannot be had now is not taken for deleted. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeExamples } from '../../gpu-trainer/host/encode-examples.ts';
import type { RowError } from '../../gpu-trainer/host/validate/row-error.ts';
import { fromExamples, validateDataset } from '../../gpu-trainer/host/validate-work.ts';
import type { Context } from '../../gpu-trainer/host/train-work.ts';
import { TransferRefused } from '../../gpu-trainer/host/transfer.ts';
import type { BackboneManifest } from '../../shared/catalogue.ts';
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

describe('an original', () => {
  let server: Server;
  let url = '';
  let folder = '';
  beforeAll(async () => {
    server = createServer((request, response) => void response.writeHead(Number(path.basename(request.url ?? ''))).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    folder = await mkdtemp(path.join(tmpdir(), 'graft-originals-'));
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true, force: true });
  });
  const example = (status: number) => ({
    id: 'ex_1',
    label: 'cat',
    labels: null,
    content_type: 'image/png',
    sha256: 'ab',
    download: { url: `${url}/${status}`, bytes: null, sha256: null },
  });
  const learnt = async (status: number) => {
    const backbone = { modality: 'image' } as BackboneManifest;
    const input = { folder, signal: new AbortController().signal, task: 'single_label', backbone, backboneDir: folder } as const;
    return await encodeExamples(input, 'enrolled', [example(status)]);
  };

  it('that was deleted since is left out', async () => {
    expect((await errorsOf({ examples: [example(404)] })).map(({ code }) => code)).toEqual(['example_missing']);
    expect(await learnt(404)).toBeNull();
    expect(await readdir(folder)).toEqual([]);
  });

  it('that the store does not give now ends the attempt, instead of a dataset or a model without it', async () => {
    await expect(errorsOf({ examples: [example(403)] })).rejects.toThrow(TransferRefused);
    await expect(learnt(403)).rejects.toThrow(/403/);
    expect(await readdir(folder)).toEqual([]);
  });

  it('of an upload that the store does not give now, neither: its owner promised no other bytes', async () => {
    const context = { folder, keeper: { signal: new AbortController().signal } } as unknown as Context;
    const archive = { url: `${url}/403`, bytes: 1, sha256: 'ab', filename: 'd.jsonl' };
    const work = ValidateWork.parse({ ...WORK, format: 'jsonl', archive, examples: null, vocabulary: null });
    await expect(validateDataset(context, work)).rejects.toThrow(/403/);
  });
});
