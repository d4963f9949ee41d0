/** A leased advice job: the datasets and every backbone from object storage, the engine's measurements, and what it advises. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { ENGINE_PROTOCOL, type EngineLine, type EngineSpec } from '../../shared/engine.ts';
import type { TrainWork } from '../../shared/runner.ts';
import { runEngine } from './engine-process.ts';
import { fetchBackbone } from './job-backbone.ts';
import { fetchDatasets } from './job-datasets.ts';
import { tell } from './tell.ts';
import type { Context } from './train-work.ts';

/** Runs it; the caller releases or fails the lease when this throws. */
export async function adviseOnTransfer(c: Context, work: TrainWork): Promise<void> {
  const started = performance.now();
  const { GRAFT_PYTHON: python, GRAFT_THREADS: threads } = c.settings;
  const end = await runEngine(await prepare(c, work), { python, threads, signal: c.keeper.signal, onLine: (line) => takeLine(c, line) });
  if (end.kind === 'advice')
    await c.api.complete(c.lease.token, { kind: 'advice', advice: end.advice, seconds: (performance.now() - started) / 1_000 });
  else if (end.kind === 'stopped') throw new DOMException('stopped', 'AbortError');
  else if (end.kind === 'failed') await c.api.fail(c.lease.token, { code: end.code, detail: end.detail, retryable: end.retryable, blame: end.blame });
  else throw new Error(`the engine was asked for advice and ended with ${end.kind}`);
}

async function takeLine(c: Context, line: EngineLine): Promise<void> {
  if (line.type === 'phase') await tell(c, [{ type: 'phase', phase: line.phase }]);
  else if (line.type === 'progress') {
    c.keeper.progress = line.progress;
    await tell(c, [{ type: 'progress', progress: line.progress }]);
  }
}

async function prepare(c: Context, work: TrainWork): Promise<EngineSpec> {
  const { dataset, target, excludeRows, withdrawn } = await fetchDatasets({ ...work, enrolled: [] }, c.folder, c.keeper.signal);
  const backbones: EngineSpec['backbones'] = [];
  for (const backbone of work.backbones.length > 0 ? work.backbones : [work.backbone])
    backbones.push({ id: backbone.manifest.id, dir: await fetchBackbone(backbone, c.settings.GRAFT_WORK_DIR, c.keeper.signal) });
  const out = path.join(c.folder, 'out');
  await mkdir(out, { recursive: true });
  return {
    protocol: ENGINE_PROTOCOL,
    action: 'advise',
    job: work.job,
    seed: work.seed,
    modality: work.dataset.manifest.modality,
    task: work.dataset.manifest.task,
    method: work.method,
    dataset,
    exclude_rows: excludeRows,
    exclude_target_rows: withdrawn.target,
    exclude_validation_rows: [],
    validation: null,
    target,
    enrolled: null,
    source: null,
    incumbent: null,
    backbone: backbones.find((b) => b.id === work.backbone.manifest.id) ?? backbones[0]!,
    backbones,
    label_texts: null,
    advice: null,
    checkpoint: null,
    out_dir: out,
    device: c.settings.GRAFT_DEVICE,
    limits: { threads: c.settings.GRAFT_THREADS, max_seconds: null, processes: 1 },
    false_reject_rate: null,
  };
}
