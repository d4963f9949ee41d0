/**
 * Two kinds of tests: `worker` runs inside workerd with the real D1, queue, Durable Object and S3 server; `node` is everything that runs outside.
 * Run one with `npx vitest run --project worker [file]`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';
import type { TestStore } from './test/setup/store.ts';

// Wrangler's own reports are not part of a test run, and tests need no network beyond this machine.
process.env['WRANGLER_SEND_METRICS'] = 'false';
process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';

// See test/setup/ort-wasm.ts.
const ORT_WASM = 'onnxruntime-web/ort-wasm-simd-threaded.wasm';
const ortWasm = readFileSync(join(import.meta.dirname, 'node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm'));

const WORKER_ROOMS = 'http,durable,delivery,datasets,jobs,security,inference';
const NODE_ROOMS = 'domain,learning,shared,host,infra,e2e,architecture';

export default defineConfig({
  test: {
    projects: [
      {
        resolve: { alias: { [ORT_WASM]: join(import.meta.dirname, 'test/setup/ort-wasm.ts') } },
        plugins: [
          cloudflareTest(async ({ inject }) => {
            const store = inject<TestStore>('store');
            return {
              wrangler: { configPath: './wrangler.toml' },
              miniflare: {
                serviceBindings: { ORT_WASM: () => new Response(ortWasm) },
                bindings: {
                  MIGRATIONS: await readD1Migrations('functions/db/migrations'),
                  HAS_BACKBONES: store.backbones,
                  GRAFT_OPERATOR_KEY: 'graft_operator_for_tests_only',
                  GRAFT_RUNNER_TOKEN: 'graft_runner_for_tests_only',
                  GRAFT_S3_ENDPOINT: store.endpoint,
                  GRAFT_S3_BUCKET: store.bucket,
                  GRAFT_S3_REGION: store.region,
                  GRAFT_S3_ACCESS_KEY_ID: store.accessKeyId,
                  GRAFT_S3_SECRET_ACCESS_KEY: store.secretAccessKey,
                  GRAFT_SECRET_KEY: btoa('thirty-two bytes for tests only!'),
                  GRAFT_ALLOW_LOOPBACK_WEBHOOKS: '1',
                },
              },
            };
          }),
        ],
        test: {
          name: 'worker',
          include: [`test/{${WORKER_ROOMS}}/**/*.test.ts`],
          globalSetup: ['./test/setup/store.ts', './test/setup/receiver.ts'],
          setupFiles: ['./test/setup/migrate.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Two graphs of 20 MB each live in every runtime: one at a time keeps the run within a small machine.
          maxWorkers: 1,
        },
      },
      {
        test: {
          name: 'node',
          include: [`test/{${NODE_ROOMS}}/**/*.test.ts`],
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
