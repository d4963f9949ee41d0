import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exited, signalGroup } from '../../infra/child.ts';
import { socketsOf, startObjectStore, type ObjectStore } from '../../infra/object-store.ts';

let dir: string;
let store: ObjectStore;
const clientOf = (at: ObjectStore, secretAccessKey = at.secretAccessKey): S3Client =>
  new S3Client({
    endpoint: at.endpoint,
    region: at.region,
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: at.accessKeyId, secretAccessKey },
  });
const put = (at: ObjectStore, key: string, body: string) => clientOf(at).send(new PutObjectCommand({ Bucket: at.bucket, Key: key, Body: body }));
const get = async (at: ObjectStore, key: string) =>
  await (await clientOf(at).send(new GetObjectCommand({ Bucket: at.bucket, Key: key }))).Body?.transformToString();

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'graft-store-test-'));
  store = await startObjectStore({ dir });
}, 180_000);
afterAll(async () => {
  await store.stop();
  rmSync(dir, { recursive: true, force: true });
});

test('keeps credentials to itself and refuses others', async () => {
  expect(statSync(join(dir, 's3.json')).mode & 0o077).toBe(0);
  expect(statSync(join(dir, 'store.json')).mode & 0o077).toBe(0);
  await expect(clientOf(store, 'x'.repeat(32)).send(new GetObjectCommand({ Bucket: store.bucket, Key: 'health/ready' }))).rejects.toThrow();
  expect((await fetch(`${store.endpoint}/${store.bucket}/health/ready`)).status).toBe(403);
});

test('finds its objects again after SIGKILL, at the same address', async () => {
  for (let n = 0; n < 20; n++) await put(store, `kept/${n}`, `body ${n}`);
  const before = store.endpoint;
  signalGroup(store.child, 'SIGKILL');
  await exited(store.child);
  store = await startObjectStore({ dir });
  expect(store.endpoint).toBe(before);
  for (let n = 0; n < 20; n++) expect(await get(store, `kept/${n}`)).toBe(`body ${n}`);
}, 180_000);

test('moves to other ports when one of its own is taken, with its objects', async () => {
  await put(store, 'moved', 'yes');
  await store.stop();
  const { createServer } = await import('node:net');
  const squatter = createServer().listen(Number(new URL(store.endpoint).port), '127.0.0.1');
  await new Promise((resolve) => squatter.once('listening', resolve));
  const before = store.endpoint;
  try {
    store = await startObjectStore({ dir });
  } finally {
    squatter.close();
  }
  expect(store.endpoint).not.toBe(before);
  expect(await get(store, 'moved')).toBe('yes');
}, 180_000);

test('SIGTERM ends it and leaves nothing in the temp folder', async () => {
  const pid = store.pid;
  const { ports } = JSON.parse(readFileSync(join(dir, 'store.json'), 'utf8')) as { ports: number[] };
  const temporary = /TMPDIR=([^\0]+)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1] as string;
  // Other stores may run beside this one: only what carries its ports is its own.
  expect(socketsOf(ports)).not.toEqual([]);
  expect(existsSync(temporary)).toBe(true);
  await store.stop();
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  expect(socketsOf(ports)).toEqual([]);
  expect(existsSync(temporary)).toBe(false);
  store = await startObjectStore({ dir });
}, 180_000);
