/** The Worker as a process of its own: miniflare with D1, Durable Objects and queues kept in a folder. Configuration comes from a file, readiness goes over IPC. */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Miniflare } from 'miniflare';
import { z } from 'zod';
import { ROOT } from './paths.ts';

const Config = z.object({
  port: z.number(),
  script: z.string(),
  wasm: z.array(z.string()),
  persist: z.string(),
  bindings: z.record(z.string(), z.string()),
});
const SWEEP_MS = 15_000;

const config = Config.parse(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')));
const worker = new Miniflare({
  host: '127.0.0.1',
  port: config.port,
  modules: [{ type: 'ESModule', path: config.script }, ...config.wasm.map((path) => ({ type: 'CompiledWasm' as const, path }))],
  modulesRoot: dirname(config.script),
  compatibilityDate: '2026-07-01',
  compatibilityFlags: ['nodejs_compat'],
  bindings: config.bindings,
  d1Databases: { DB: 'graft' },
  d1Persist: join(config.persist, 'd1'),
  durableObjects: { CLASSIFIER: { className: 'Classifier', useSQLite: true } },
  durableObjectsPersist: join(config.persist, 'objects'),
  queueProducers: { DELIVERIES: 'graft-deliveries' },
  queueConsumers: { 'graft-deliveries': { maxBatchSize: 10, maxBatchTimeout: 1, maxRetries: 10 } },
});
await worker.ready;

const db = await worker.getD1Database('DB');
await db.exec('CREATE TABLE IF NOT EXISTS graft_migrations (name TEXT PRIMARY KEY)');
const folder = join(ROOT, 'functions/db/migrations');
for (const name of readdirSync(folder)
  .filter((f) => f.endsWith('.sql'))
  .toSorted()) {
  if (await db.prepare('SELECT 1 FROM graft_migrations WHERE name = ?').bind(name).first()) continue;
  const statements = readFileSync(join(folder, name), 'utf8').split('--> statement-breakpoint');
  await db.batch([...statements.map((s) => db.prepare(s)), db.prepare('INSERT INTO graft_migrations (name) VALUES (?)').bind(name)]);
}
process.send?.({ ready: true });

let sweeping = false;
const timer = setInterval(() => {
  if (sweeping) return;
  sweeping = true;
  void worker
    .getWorker()
    .then((w) => w.scheduled({ cron: '* * * * *' }))
    .catch((error: unknown) => process.stderr.write(`sweep: ${String(error)}\n`))
    .finally(() => {
      sweeping = false;
    });
}, SWEEP_MS);
const stop = (): void => {
  clearInterval(timer);
  void worker.dispose().then(() => process.exit(0));
};
process.once('SIGTERM', stop);
process.once('disconnect', stop);
