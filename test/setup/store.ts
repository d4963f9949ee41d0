/** Starts one real S3 server for the whole run and publishes the backbones into it where set-up has made them. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startObjectStore } from '../../infra/object-store.ts';

export type TestStore = {
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Whether `.graft/backbones` was there to be published. */
  readonly backbones: boolean;
};

declare module 'vitest' {
  interface ProvidedContext {
    store: TestStore;
  }
}

const BACKBONES = join(import.meta.dirname, '../../.graft/backbones');

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), 'graft-test-store-'));
  const store = await startObjectStore({ dir });
  const stop = async (): Promise<void> => {
    await store.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  const backbones =
    existsSync(join(BACKBONES, 'efficientnet-lite0', 'manifest.json')) && existsSync(join(BACKBONES, 'all-minilm-l6-v2', 'manifest.json'));
  if (backbones) {
    try {
      const { publishBackbones } = await import('../../infra/publish-backbones.ts');
      await publishBackbones(store);
    } catch (error) {
      // Nobody calls the teardown of a set-up that failed.
      await stop();
      throw error;
    }
  }
  const { endpoint, bucket, region, accessKeyId, secretAccessKey } = store;
  project.provide('store', { endpoint, bucket, region, accessKeyId, secretAccessKey, backbones });
  return stop;
}
