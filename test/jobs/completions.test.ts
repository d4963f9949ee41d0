/** What a completion must bring, and what of it callers see. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EngineResult } from '../../shared/engine.ts';
import { EDGE_NETWORK_MAX_BYTES } from '../../shared/limits.ts';
import { CompleteResponse } from '../../shared/runner.ts';
import { Version } from '../../shared/wire/classifiers.ts';
import { Job } from '../../shared/wire/jobs.ts';
import { Model } from '../../shared/wire/models.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Event } from '../../shared/wire/webhooks.ts';
import { fitsEdge } from '../../functions/domain/model-network.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';
import {
  clearQueue,
  completionOf,
  deps,
  heldOutOf,
  lease,
  newJob,
  publishTinyBackbone,
  readyDataset,
  runner,
  sendFiles,
  tinyClassifier,
  trainedFiles,
} from '../setup/training.ts';

let key = '';
let tenant = '';
let dataset = '';
beforeAll(async () => {
  ({ key, tenant } = await newTenant());
  await publishTinyBackbone();
  dataset = (await readyDataset(key)).id;
});
beforeEach(clearQueue);

const get = async (id: string) => await answer(await call(`/v1/training/jobs/${id}`, { key }), 200, Job);
const graph = (name: string) => ({ name, bytes: new TextEncoder().encode(`graph ${name}`) });

/** Runs a job as a host does, with these answers on the held-out rows; gives the response to its completion. */
async function run(
  more: { classifier?: string; result?: Partial<EngineResult> },
  heldOut: Parameters<typeof heldOutOf>,
  files: Parameters<typeof trainedFiles>[1] = {},
): Promise<{ job: string; response: Response }> {
  const job = await newJob(key, { dataset, ...(more.classifier ? { classifier: more.classifier } : {}) });
  const leased = await lease(['train']);
  expect(leased.work).toMatchObject({ job: job.id });
  const made = await trainedFiles(job.id, files);
  await sendFiles(leased.token, made);
  const request = await completionOf(made, heldOutOf(...heldOut));
  if (request.kind !== 'train') throw new Error('not a training completion');
  const response = await runner(`leases/${leased.token}/complete`, { ...request, result: { ...request.result, ...more.result } });
  return { job: job.id, response };
}

describe('a completion', () => {
  it('shows what the method wants to be known by, and every contender that it measured', async () => {
    const heldOut = heldOutOf(200, { candidate: 180, incumbent: null });
    const task = { name: 'ripe', labels: ['no', 'yes'], held_out_rows: 40, accuracy: 0.8, single_task_accuracy: 0.7, difference: 0.1 };
    const result = {
      held_out: { ...heldOut, scratch: heldOut.baseline, source_only: heldOut.candidate },
      evidence: { seeds: [1, 2, 3] },
      tasks: [{ ...task, interval: { low: 0, high: 0.2 }, negative_transfer: false }],
    };
    const { job, response } = await run({ result }, [200, { candidate: 180, incumbent: null }]);
    await answer(response, 200, CompleteResponse);
    const seen = (await get(job)).result;
    expect(seen).toMatchObject({ decision: 'not_requested', network: 'base', evidence: result.evidence, tasks: result.tasks });
    expect(seen?.metrics).toMatchObject({ zero_shot: null, scratch: { accuracy: { value: 0.5 } }, source_only: { accuracy: { value: 0.9 } } });
    expect(seen?.reasons.map((reason) => reason.code)).toEqual(expect.arrayContaining(['better_than_scratch', 'not_better_than_source_only']));
  });

  it('of "auto" says in its event which way was taken and why; of others nothing', async () => {
    const choice = { chose: 'fine_tune', because: 'It paid on 80 rows.' };
    const auto = await run({ result: { evidence: { auto: { ...choice, options: [] } } } }, [20, { candidate: 15, incumbent: null }]);
    await answer(auto.response, 200, CompleteResponse);
    const other = await run({}, [20, { candidate: 15, incumbent: null }]);
    await answer(other.response, 200, CompleteResponse);
    const events = await answer(await call('/v1/events?limit=100', { key }), 200, listOf(Event, 'EventList'));
    const told = (id: string) => events.data.find((event) => event.type === 'training.job.succeeded' && event.data['id'] === id)?.data['choice'];
    expect(told(auto.job)).toEqual(choice);
    expect(told(other.job)).toBeNull();
    expect((await get(auto.job)).result?.evidence['auto']).toEqual({ ...choice, options: [] });
  });

  it('of a whole network needs its trunk, and says so in the result', async () => {
    const whole = { tuned: true, network: 'whole' } as const;
    const rows: Parameters<typeof heldOutOf> = [20, { candidate: 15, incumbent: null }];
    const lacking = await run({}, rows, { manifest: whole, graphs: [graph('tail.onnx')] });
    expect((await problem(lacking.response, 'upload_incomplete')).errors?.[0]?.file).toBe('trunk.onnx');
    await clearQueue();
    const { job, response } = await run({}, rows, { manifest: whole, graphs: [graph('tail.onnx'), graph('trunk.onnx'), graph('trunk.onnx.data')] });
    await answer(response, 200, CompleteResponse);
    expect((await get(job)).result).toMatchObject({
      network: 'whole',
      artifacts: expect.arrayContaining([expect.objectContaining({ name: 'trunk.onnx.data' })]),
    });
    const model = (await get(job)).model!;
    const listed = await answer(await call(`/v1/models/${model}`, { key }), 200, Model);
    expect(new Set(listed.files)).toEqual(new Set((await get(job)).result!.artifacts));
    expect(listed.files.map(({ name }) => name)).toContain('manifest.json');
    const file = await (await call(`/v1/models/${model}/files/trunk.onnx`, { key })).arrayBuffer();
    expect(new TextDecoder().decode(file)).toBe('graph trunk.onnx');
    const files = (bytes: number) => ({ ...whole, files: [{ name: 'trunk.onnx.data' as const, sha256: '', bytes }] });
    expect([fitsEdge(files(EDGE_NETWORK_MAX_BYTES)), fitsEdge(files(EDGE_NETWORK_MAX_BYTES + 1))]).toEqual([true, false]);
  });

  it('promotes a plainly better version and refuses a worse one', async () => {
    const classifier = await tinyClassifier(tenant, 3);
    const better = await run({ classifier }, [300, { candidate: 280, incumbent: 200, frozen: 270 }]);
    expect(await answer(better.response, 200, CompleteResponse)).toMatchObject({ status: 'succeeded', decision: 'promoted' });
    const worse = await run({ classifier }, [300, { candidate: 150, incumbent: 250 }]);
    expect(await answer(worse.response, 200, CompleteResponse)).toMatchObject({ decision: 'refused' });
    const events = await answer(await call('/v1/events?limit=100', { key }), 200, listOf(Event, 'EventList'));
    const told = (type: string) => events.data.find((event) => event.type === type && event.data['classifier'] === classifier)?.data;
    const { version } = (await get(better.job)).result!;
    const form = { object: 'classifier.version', kind: 'trained', reason: 'trained' };
    expect(told('classifier.version.activated')).toMatchObject({ ...form, version, previous: version! - 1, job: better.job });
    expect(told('classifier.version.refused')).toMatchObject({ ...form, version: version! + 1, previous: version, job: worse.job });
  });

  it('that is refused and activated all the same leaves a version that holds its model', async () => {
    const classifier = await tinyClassifier(tenant, 3);
    const before = (await deps.classifier(classifier).describe())!.version;
    const files = { tuned: true, manifest: { tuned: true, network: 'tail' }, graphs: [graph('tail.onnx')] } as const;
    const refused = async () => {
      const { job, response } = await run({ classifier }, [300, { candidate: 150, incumbent: 250 }], files);
      expect(await answer(response, 200, CompleteResponse)).toMatchObject({ decision: 'refused' });
      const { result, model } = await get(job);
      return { version: result!.version!, model: model! };
    };
    const activate = async (n: number) =>
      await answer(await call(`/v1/classifiers/${classifier}/versions/${n}/activate`, { key, method: 'POST' }), 200, Version);
    const remove = async (model: string) => await call(`/v1/models/${model}`, { key, method: 'DELETE' });
    const [wanted, unwanted] = [await refused(), await refused()];
    const served = await activate(wanted.version);
    expect(served).toMatchObject({ kind: 'restored', parent: wanted.version, model: wanted.model });
    expect((await problem(await remove(wanted.model), 'conflict')).detail).toContain('served');
    await activate(before);
    expect((await problem(await remove(wanted.model), 'conflict')).detail).toContain(`activated again run on this model: ${served.n}.`);
    // Nobody ever wanted the other.
    expect((await remove(unwanted.model)).status).toBe(204);
  });
});
