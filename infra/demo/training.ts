/** The demo's second half: a dataset straight to object storage, a training job, the proof, the webhook, serving and the way back. */
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { Version } from '../../shared/wire/classifiers.ts';
import { Dataset, Upload } from '../../shared/wire/datasets.ts';
import { Job, type JobResult } from '../../shared/wire/jobs.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Prediction } from '../../shared/wire/predictions.ts';
import { WebhookWithSecret } from '../../shared/wire/webhooks.ts';
import { progressBar } from '../progress.ts';
import { putPart, type Client } from './client.ts';
import { imageFolderZip, pictures } from './pack.ts';
import { claim, percent, table, type Telling } from './telling.ts';

const POLL_MS = 500;
const WEBHOOK_WAIT_MS = 60_000;
const Payload = z.object({ type: z.string(), data: z.unknown() });
type Verified = z.infer<typeof Payload>;

export type Listener = { readonly verified: Verified[]; readonly refused: string[]; close(): void };

/** A receiver as a customer would write it: the `standardwebhooks` library verifies the signature over the raw body. */
export async function listen(mine: Client): Promise<Listener> {
  const verified: Verified[] = [];
  const refused: string[] = [];
  let secret = '';
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
      try {
        verified.push(Payload.parse(new Webhook(secret).verify(Buffer.concat(parts).toString(), headers)));
        response.writeHead(204).end();
      } catch (error) {
        refused.push(String(error));
        response.writeHead(400).end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the listener has no port');
  const made = await mine.send(WebhookWithSecret, 'POST', '/v1/webhooks', {
    url: `http://127.0.0.1:${address.port}/hook`,
    events: ['training.job.succeeded', 'training.job.failed'],
  });
  secret = made.secret;
  return { verified, refused, close: () => server.close() };
}

export async function uploadPictures(mine: Client, tell: Telling): Promise<string> {
  tell.step('4. A zip of pictures, straight to object storage');
  const zip = await imageFolderZip();
  const { id } = await mine.send(Dataset, 'POST', '/v1/datasets', { name: 'pack', modality: 'image', format: 'imagefolder' });
  const upload = await mine.send(Upload, 'POST', `/v1/datasets/${id}/uploads`, { filename: 'pack.zip', bytes: zip.bytes.length });
  const bar = progressBar('upload');
  const parts: { number: number; etag: string }[] = [];
  for (const part of upload.parts) {
    const from = (part.number - 1) * upload.part_bytes;
    const bytes = zip.bytes.subarray(from, from + upload.part_bytes);
    const etag = await putPart(part.url, bytes, (sent) => bar.tick((from + sent) / zip.bytes.length));
    parts.push({ number: part.number, etag });
  }
  bar.end(`${(zip.bytes.length / 1e6).toFixed(2)} MB in ${parts.length} part(s)`);
  await mine.send(Dataset, 'POST', `/v1/datasets/${id}/uploads/${upload.upload_id}/complete`, { parts });
  const validating = progressBar('validation');
  let dataset = await mine.send(Dataset, 'GET', `/v1/datasets/${id}`);
  while (dataset.status === 'awaiting_upload' || dataset.status === 'validating') {
    validating.tick(null);
    await sleep(POLL_MS);
    dataset = await mine.send(Dataset, 'GET', `/v1/datasets/${id}`);
  }
  validating.end(dataset.status);
  const named = new Set(dataset.errors.map((e) => e.file));
  claim(dataset.status === 'ready' && named.has(zip.broken) && named.has(zip.repeated), 'the report names the broken and the repeated picture');
  tell.note(
    'dataset',
    { status: dataset.status, rows: dataset.rows, digest: dataset.digest, errors: dataset.errors },
    `${zip.pictures} pictures sent, ${dataset.rows} kept; left out:\n${dataset.errors.map((e) => `    ${e.file}: ${e.detail}`).join('\n')}`,
  );
  return id;
}

function resultTable(result: JobResult): string {
  const row = (name: string, m: JobResult['metrics']['candidate'] | null): string[][] => {
    if (!m) return [];
    const { value, interval } = m.accuracy;
    return [
      [name, percent(value), `${percent(interval.low)} – ${percent(interval.high)}`, percent(m.macro_recall.value), percent(m.calibration_error)],
    ];
  };
  const { candidate, incumbent, frozen, baseline } = result.metrics;
  return table([
    [`on ${result.held_out.rows} held-out pictures`, 'accuracy', '95 % interval', 'macro recall', 'calibration error'],
    ...row('candidate', candidate),
    ...row('incumbent head', incumbent),
    ...row('frozen backbone, same rows', frozen),
    ...row('majority class', baseline),
  ]);
}

export async function train(mine: Client, given: { dataset: string; classifier: string; listener: Listener }, tell: Telling): Promise<JobResult> {
  tell.step('5. Training on the trainer, by the method that a trial there speaks for, and proof before promotion');
  const { id } = await mine.send(Job, 'POST', '/v1/training/jobs', {
    dataset: given.dataset,
    classifier: given.classifier,
    method: { type: 'auto', epochs: 8, augment_views: 2 },
    seed: 7,
  });
  const bar = progressBar('training');
  let job = await mine.send(Job, 'GET', `/v1/training/jobs/${id}`);
  while (!['succeeded', 'failed', 'cancelled'].includes(job.status)) {
    const p = job.progress;
    const eta = p?.eta_seconds ?? null;
    const done = p && eta !== null && job.started_at !== null ? shareDone(job.started_at, eta) : null;
    const epoch = p && p.epoch > 0 ? `epoch ${p.epoch}/${p.epochs}, ` : '';
    bar.tick(
      done,
      p ? `${job.status} ${epoch}${p.examples_per_second.toFixed(0)} pictures/s${eta === null ? '' : `, ETA ${Math.round(eta)} s`}` : job.status,
    );
    await sleep(POLL_MS);
    job = await mine.send(Job, 'GET', `/v1/training/jobs/${id}`);
  }
  bar.end(job.status);
  const { result } = job;
  if (job.status !== 'succeeded' || !result) throw new Error(`the job ended as ${job.status}: ${JSON.stringify(job.error)}`);
  tell.note(
    'training',
    { job: id, ...result },
    `${result.method.used}, ${result.seconds.toFixed(0)} s on ${result.device}; ${result.artifacts.length} artifacts in object storage\n${resultTable(result)}`,
  );
  claim(result.reasons.length > 0, 'the decision has reasons');
  tell.note('decision', result.decision, `${result.decision}:\n${result.reasons.map((r) => `    ${r.detail}`).join('\n')}`);

  const until = Date.now() + WEBHOOK_WAIT_MS;
  while (given.listener.verified.length === 0 && Date.now() < until) await sleep(POLL_MS);
  const [hook] = given.listener.verified;
  claim(hook?.type === 'training.job.succeeded' && given.listener.refused.length === 0, 'the signed webhook arrives and verifies');
  tell.note('webhook', hook?.type, `webhook ${hook?.type} received, its signature verified`);
  return result;
}

function shareDone(startedAt: string, eta: number): number {
  const gone = (Date.now() - Date.parse(startedAt)) / 1_000;
  return Math.min(Math.max(gone / Math.max(gone + eta, 1), 0), 1);
}

export async function serveAndRollBack(mine: Client, given: { classifier: string; old: number; result: JobResult }, tell: Telling): Promise<void> {
  tell.step('6. Serving, and one call back');
  const at = `/v1/classifiers/${given.classifier}`;
  const versions = await mine.send(listOf(Version, 'Versions'), 'GET', `${at}/versions`);
  const active = versions.data.find((v) => v.active);
  const [vehicle] = pictures('vehicle').slice(5);
  const served = await mine.send(Prediction, 'POST', `${at}/predict?min_version=${active?.n ?? 0}`, vehicle);
  const promoted = given.result.decision === 'promoted';
  claim(!promoted || served.version === given.result.version, 'the next prediction is served by the promoted version');
  tell.note(
    'served',
    { version: served.version, kind: active?.kind, label: served.label },
    `the vehicle is answered by version ${served.version} (${active?.kind}): ${served.label ?? 'unknown'}`,
  );
  await mine.send(Version, 'POST', `${at}/versions/${given.old}/activate`);
  const back = await mine.send(Prediction, 'POST', `${at}/predict`, vehicle);
  claim(back.version === given.old, 'the old version serves again');
  tell.note('rolled_back', { version: back.version, label: back.label }, `after one call back, version ${back.version}: ${back.label ?? 'unknown'}`);
}
