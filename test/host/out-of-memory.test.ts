/** An engine that runs out of memory is started again with half the batch, from where it had come to. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { HostSettings } from '../../gpu-trainer/host/settings.ts';
import { trainModel, type Context } from '../../gpu-trainer/host/train-work.ts';
import { makeWorkerApi } from '../../gpu-trainer/host/worker-api.ts';
import type { Lease, TrainWork } from '../../shared/runner.ts';

/** Writes a checkpoint and has no memory left, every time; the third time it says what it was asked to do each time. */
const ENGINE = `#!${process.execPath}
const fs = require('node:fs');
const path = require('node:path');
const say = (line) => process.stdout.write(JSON.stringify(line) + '\\n');
const fail = (code, detail, exit) => {
  say({ type: 'error', code, detail, retryable: code === 'out_of_memory', blame: 'graft' });
  process.exitCode = exit;
};
const spec = JSON.parse(fs.readFileSync(0, 'utf8'));
const log = path.join(spec.out_dir, 'asked.jsonl');
fs.appendFileSync(log, JSON.stringify([spec.method.batch_size ?? null, spec.checkpoint && fs.readFileSync(spec.checkpoint, 'utf8')]) + '\\n');
const asked = fs.readFileSync(log, 'utf8').trim().split('\\n').map((line) => JSON.parse(line));
if (asked.length < 3) {
  const file = path.join(spec.out_dir, 'checkpoint-' + asked.length);
  fs.writeFileSync(file, 'epoch ' + asked.length);
  say({ type: 'checkpoint', file, epoch: asked.length, sha256: 'ab', bytes: 7 });
  fail('out_of_memory', 'no memory left', 4);
} else fail('asked', JSON.stringify(asked), 2);
`;

it('goes on from its last checkpoint, wherever that is', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'graft-memory-'));
  const failures: { code: string; detail: string }[] = [];
  const stored: Record<string, string> = { 'dataset.safetensors': 'arrays', 'rows.jsonl': '', tail: 'tail' };
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const what = path.basename(request.url ?? '');
      if (request.method === 'GET') return response.end(stored[what]);
      if (what === 'fail') failures.push(JSON.parse(body) as (typeof failures)[number]);
      // No place for checkpoints: they stay on this host.
      return what === 'checkpoint' ? response.end(JSON.stringify({ upload: null })) : response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const python = path.join(folder, 'engine.cjs');
    await writeFile(python, ENGINE);
    await chmod(python, 0o755);
    const settings = HostSettings.parse({ GRAFT_URL: url, GRAFT_RUNNER_TOKEN: 'a token of a host', GRAFT_PYTHON: python, GRAFT_WORK_DIR: folder });
    const from = (name: string) => ({ url: `${url}/${name}`, bytes: null, sha256: null });
    const graph = { model: { name: 'tail', sha256: '0c62f876ef1dea830de9f32c2f4b46dd6d74d50d15896e09ef5a2fcd4ac7e1d7', bytes: 4 }, data: null };
    const manifest = {
      id: 'one',
      modality: 'image',
      trunk: graph,
      tail: graph,
      weights: null,
      background: null,
      background_inputs: null,
      vocabulary: null,
    };
    const dataset = { modality: 'image', task: 'single_label', labels: ['a', 'b'], tasks: [], digest: 'd' };
    const work = {
      kind: 'train',
      action: 'train',
      job: 'job_1',
      seed: 1,
      method: { type: 'fine_tune', batch_size: 24 },
      dataset: { id: 'ds_1', manifest: dataset, files: { 'dataset.safetensors': from('dataset.safetensors'), 'rows.jsonl': from('rows.jsonl') } },
      backbone: { manifest, files: { tail: from('tail') } },
      validation: null,
      target: null,
      source: null,
      incumbent: null,
      advice: null,
      checkpoint: null,
      label_texts: null,
      false_reject_rate: null,
      exclude: [],
      enrolled: [],
      backbones: [],
    } as unknown as TrainWork;
    const keeper = { signal: new AbortController().signal } as Context['keeper'];
    await trainModel({ api: makeWorkerApi(url, 'a token of a host'), lease: { token: 'tok' } as Lease, keeper, folder, settings }, work);
    expect(failures.map(({ code }) => code)).toEqual(['asked']);
    expect(JSON.parse(failures[0]!.detail)).toEqual([
      [24, null],
      [12, 'epoch 1'],
      [6, 'epoch 2'],
    ]);
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
});
