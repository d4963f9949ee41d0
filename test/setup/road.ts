/** Steps that tests over the real stack share: an upload that is validated, a job that ends. Neither waits longer than its test may take. */
import { setTimeout as sleep } from 'node:timers/promises';
import yazl from 'yazl';
import { putPart, type Client } from '../../infra/demo/client.ts';
import { pictures } from '../../infra/demo/pack.ts';
import { Dataset, Upload } from '../../shared/wire/datasets.ts';
import { Job } from '../../shared/wire/jobs.ts';

/** An ImageFolder zip of the pack: the first pictures of each label. */
export async function pictureZip(labels: readonly string[], perLabel: number): Promise<Buffer> {
  const zip = new yazl.ZipFile();
  for (const label of labels) for (const [i, bytes] of pictures(label).slice(0, perLabel).entries()) zip.addBuffer(bytes, `${label}/${i}.png`);
  zip.end();
  const chunks: Buffer[] = [];
  for await (const chunk of zip.outputStream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Makes the dataset, uploads its file in one part, and waits until a host has validated it. */
export async function uploadDataset(mine: Client, asked: Readonly<Record<string, unknown>>, filename: string, bytes: Buffer): Promise<Dataset> {
  const { id } = await mine.send(Dataset, 'POST', '/v1/datasets', asked);
  const upload = await mine.send(Upload, 'POST', `/v1/datasets/${id}/uploads`, { filename, bytes: bytes.length });
  const etag = await putPart(upload.parts[0]!.url, bytes, () => undefined);
  await mine.send(Dataset, 'POST', `/v1/datasets/${id}/uploads/${upload.upload_id}/complete`, { parts: [{ number: 1, etag }] });
  const state = async () => await mine.send(Dataset, 'GET', `/v1/datasets/${id}`);
  let now = await state();
  for (; now.status === 'validating'; now = await state()) await sleep(300);
  return now;
}

/** Queues the job and waits until it has ended, however. */
export async function runJob(mine: Client, asked: Readonly<Record<string, unknown>>): Promise<Job> {
  let now = await mine.send(Job, 'POST', '/v1/training/jobs', asked);
  for (; now.finished_at === null; now = await mine.send(Job, 'GET', `/v1/training/jobs/${now.id}`)) await sleep(500);
  return now;
}
