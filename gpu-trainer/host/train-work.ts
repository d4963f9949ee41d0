/** A leased training job: inputs from object storage, the engine as a child, artifacts back, and a completion that may be sent twice. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ENGINE_PROTOCOL, type EngineLine, type EngineSpec } from '../../shared/engine.ts';
import { GraftError } from '../../shared/errors.ts';
import type { Lease, TrainWork } from '../../shared/runner.ts';
import { boundHeldOut } from './bound-held-out.ts';
import { encodeExamples, withoutHeld } from './encode-examples.ts';
import { runEngine } from './engine-process.ts';
import { finishArtifacts, type Artifact } from './finish-artifacts.ts';
import { fetchIncumbent } from './incumbent.ts';
import { loadTokenizer } from './inputs.ts';
import { encodeTokens, fetchBackbone } from './job-backbone.ts';
import { fetchDatasets } from './job-datasets.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import { sendFiles } from './send-files.ts';
import type { HostSettings } from './settings.ts';
import { Checkpoints, tell } from './tell.ts';
import { download, isGone } from './transfer.ts';
import type { WorkerApi } from './worker-api.ts';

export type Context = {
  readonly api: WorkerApi;
  readonly lease: Lease;
  readonly keeper: LeaseKeeper;
  readonly folder: string;
  readonly settings: HostSettings;
};

type Made = { readonly artifacts: Artifact[]; readonly checkpoints: Checkpoints };

/** Runs the job; the caller releases or fails the lease when this throws. */
export async function trainModel(c: Context, work: TrainWork): Promise<void> {
  const { spec, enrolledIds, told } = await prepare(c, work);
  const made: Made = { artifacts: [], checkpoints: new Checkpoints() };
  let batch = spec.method.batch_size;
  for (;;) {
    made.artifacts.length = 0;
    const method = { ...spec.method, ...(batch === undefined ? {} : { batch_size: batch }) };
    const attempt = { ...spec, method, checkpoint: made.checkpoints.last ?? spec.checkpoint };
    const { GRAFT_PYTHON: python, GRAFT_THREADS: threads } = c.settings;
    const end = await runEngine(attempt, { python, threads, signal: c.keeper.signal, onLine: (line) => takeLine(c, line, made) });
    if (end.kind === 'result') {
      const known = {
        datasetDigest: work.dataset.manifest.digest,
        sourceClassifier: work.source?.classifier ?? null,
        backbone: work.backbone.manifest,
      };
      const finished = await finishArtifacts(made.artifacts, spec.out_dir, known);
      // manifest.json comes last, so whoever finds it finds the rest.
      await sendFiles(c, finished);
      const named = finished.map(({ name, sha256, bytes }) => ({ name, sha256, bytes }));
      const result = boundHeldOut({ ...end.result, notes: [...end.result.notes, ...told] }, work.seed);
      await c.api.complete(c.lease.token, { kind: 'train', result, artifacts: named, enrolled_ids: enrolledIds });
      return;
    }
    if (end.kind === 'advice' || end.kind === 'inspection') throw new GraftError('internal', `the engine trained nothing but sent ${end.kind}`);
    if (end.kind === 'stopped') throw new DOMException('stopped', 'AbortError');
    const smaller = Math.floor((batch ?? 32) / 2);
    if (end.code === 'out_of_memory' && smaller >= 4) {
      batch = smaller;
      await tell(c, [{ type: 'log', level: 'warning', message: `Out of memory; trying again with a batch of ${smaller}.` }]);
      continue;
    }
    await c.api.fail(c.lease.token, { code: end.code, detail: end.detail, retryable: end.retryable, blame: end.blame });
    return;
  }
}

async function takeLine(c: Context, line: EngineLine, made: Made): Promise<void> {
  if (line.type === 'phase') await tell(c, [{ type: 'phase', phase: line.phase }]);
  else if (line.type === 'progress') {
    c.keeper.progress = line.progress;
    await tell(c, [{ type: 'progress', progress: line.progress }]);
  } else if (line.type === 'choice' || line.type === 'log') await tell(c, [line]);
  else if (line.type === 'artifact') made.artifacts.push(line);
  else if (line.type === 'checkpoint') await made.checkpoints.store(c, line);
}

async function prepare(c: Context, work: TrainWork): Promise<{ spec: EngineSpec; enrolledIds: string[]; told: string[] }> {
  const { folder, keeper } = c;
  const backboneDir = await fetchBackbone(work.backbone, c.settings.GRAFT_WORK_DIR, keeper.signal);
  const { notes, told, held, judged, excludeRows, excludeTargetRows, withdrawn, ...datasets } = await fetchDatasets(work, folder, keeper.signal);
  const inputs = { folder, signal: keeper.signal, task: work.dataset.manifest.task, backbone: work.backbone.manifest, backboneDir };
  if (notes.length > 0)
    await tell(
      c,
      notes.map((message) => ({ type: 'log', level: 'info', message }) as const),
    );
  const enrolled = await encodeExamples(inputs, 'enrolled', withoutHeld(work.enrolled, judged));
  const source = await encodeExamples(inputs, 'source', withoutHeld(work.source?.examples ?? [], held));
  const incumbent = await fetchIncumbent(c, work, judged);
  const checkpoint = await fetchCheckpoint(c, work);
  const out = path.join(folder, 'out');
  await mkdir(out, { recursive: true });
  const spec: EngineSpec = {
    protocol: ENGINE_PROTOCOL,
    job: work.job,
    seed: work.seed,
    modality: work.dataset.manifest.modality,
    task: work.dataset.manifest.task,
    method: work.method,
    action: work.action,
    ...datasets,
    exclude_rows: excludeRows,
    exclude_target_rows: excludeTargetRows,
    exclude_validation_rows: withdrawn.validation,
    backbones: [],
    label_texts: await writeLabelTexts(c, work),
    enrolled,
    source,
    incumbent,
    backbone: { id: work.backbone.manifest.id, dir: backboneDir },
    advice: work.advice,
    checkpoint,
    out_dir: out,
    device: c.settings.GRAFT_DEVICE,
    limits: {
      threads: c.settings.GRAFT_THREADS,
      max_seconds: work.method.max_seconds ?? null,
      processes: c.settings.GRAFT_PROCESSES,
      cache_bytes: c.settings.GRAFT_CACHE_BYTES,
    },
    false_reject_rate: work.false_reject_rate,
  };
  return { spec, enrolledIds: enrolled?.ids ?? [], told };
}

/** Null where there is none, or none that can be had: a lost checkpoint costs time, not the job. */
async function fetchCheckpoint(c: Context, work: TrainWork): Promise<string | null> {
  if (!work.checkpoint) return null;
  const file = path.join(c.folder, 'checkpoint.safetensors');
  try {
    await download(work.checkpoint, file, c.keeper.signal);
    return file;
  } catch (error) {
    if (!isGone(error)) throw error;
    await tell(c, [{ type: 'log', level: 'warning', message: 'The last checkpoint cannot be read; the training starts again.' }]);
    return null;
  }
}

async function writeLabelTexts(c: Context, work: TrainWork): Promise<EngineSpec['label_texts']> {
  if (!work.label_texts) return null;
  const { backbone, texts } = work.label_texts;
  const dir = await fetchBackbone(backbone, c.settings.GRAFT_WORK_DIR, c.keeper.signal);
  const tokens = path.join(c.folder, 'label-texts.safetensors');
  await writeFile(tokens, encodeTokens(texts, await loadTokenizer(path.join(dir, backbone.manifest.vocabulary?.name ?? 'vocab.txt'))));
  return { backbone_dir: dir, tokens };
}
