/** Puts the prepared backbones into object storage: blobs under their digest first, the manifest that names them last. Idempotent. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { BackboneManifest, type BlobFile } from '../shared/catalogue.ts';
import { objectKeys } from '../shared/object-keys.ts';
import { BACKBONES } from './paths.ts';

export type StoreAddress = { endpoint: string; bucket: string; region: string; accessKeyId: string; secretAccessKey: string };

/** Every file that a manifest names. */
export function manifestFiles(m: BackboneManifest): BlobFile[] {
  return [m.trunk.model, m.trunk.data, m.tail.model, m.tail.data, m.weights, m.vocabulary, m.background, m.background_inputs, m.classes].filter(
    (f) => f !== null && f !== undefined,
  );
}

/** @returns the ids that are published. Throws when a prepared file is missing. */
export async function publishBackbones(store: StoreAddress, folder = BACKBONES): Promise<string[]> {
  const client = new S3Client({
    endpoint: store.endpoint,
    region: store.region,
    forcePathStyle: true,
    credentials: { accessKeyId: store.accessKeyId, secretAccessKey: store.secretAccessKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
  const put = (Key: string, Body: Uint8Array) => client.send(new PutObjectCommand({ Bucket: store.bucket, Key, Body }));
  const published: string[] = [];
  try {
    for (const id of existsSync(folder) ? readdirSync(folder) : []) {
      const path = join(folder, id, 'manifest.json');
      if (!existsSync(path)) continue;
      const manifest = BackboneManifest.parse(JSON.parse(readFileSync(path, 'utf8')));
      for (const file of manifestFiles(manifest)) {
        const Key = objectKeys.blob(file.sha256);
        const there = await client.send(new HeadObjectCommand({ Bucket: store.bucket, Key })).catch(() => null);
        if (there?.ContentLength !== file.bytes) await put(Key, readFileSync(join(folder, id, file.name)));
      }
      await put(objectKeys.backboneManifest(id), new TextEncoder().encode(JSON.stringify(manifest)));
      published.push(id);
    }
  } finally {
    client.destroy();
  }
  return published;
}
