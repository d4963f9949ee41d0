/**
 * `npm run bench [-- --quick --json]`: starts the whole local stack, measures it from outside over HTTP and prints figures of this run only. Nothing
 * else should run on the machine meanwhile; nothing is asserted, because a benchmark that fails on a slow machine says nothing about Graft.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { STATE } from '../paths.ts';
import { ensureSetup } from '../setup/main.ts';
import { startStack } from '../stack.ts';
import { bundleWorker } from '../worker-bundle.ts';
import { Client } from './client.ts';
import { measureEnrolling } from './enrolling.ts';
import { measureGrowth, measureLarge, measureResident } from './learning.ts';
import { describeMachine } from './machine.ts';
import { toText, type Report } from './print.ts';
import { measureMemory } from './memory.ts';
import { measureScoring } from './scoring.ts';
import { makeClassifiers, measureServing } from './serving.ts';
import { measureSize } from './size.ts';
import { measureStartup } from './startup.ts';

const { values } = parseArgs({ options: { json: { type: 'boolean' }, quick: { type: 'boolean' } } });
const quick = values.quick ?? false;
const repeats = quick ? { serving: 10, enrolling: 6, scoring: 10, startup: 1 } : { serving: 60, enrolling: 30, scoring: 60, startup: 5 };
/** The compilers of the runtime need some runs before they are done. */
const WARMUPS = quick ? 3 : 8;
const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function measureAll(data: string): Promise<Report> {
  const began = Date.now();
  const machine = describeMachine();
  const stack = await startStack({ dataDir: join(data, 'stack'), onProgress: say });
  let stopping: Promise<void> | null = null;
  const stop = (): void => void (stopping ??= stack.stop().then(() => process.exit(130)));
  // As in dev.ts, Ctrl-C comes twice.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  try {
    const client = await Client.forNewTenant(stack.url, stack.operatorKey);
    const classifiers = await makeClassifiers(client);
    const serving = await measureServing(client, classifiers, {
      folder: join(data, 'bare'),
      repeats: repeats.serving,
      warmups: WARMUPS,
      onProgress: say,
    });
    say('Measuring enrollment');
    const enrolling = await measureEnrolling(client, repeats.enrolling);
    const bundle = measureSize(await bundleWorker(join(data, 'bundle')));
    say('Measuring start-up');
    const startup = await measureStartup(join(data, 'stack'), join(data, 'startup'), repeats.startup);
    say('Measuring heads');
    const scoring = await measureScoring(repeats.scoring);
    const growth = await measureGrowth(quick);
    const large = await measureLarge();
    const resident = measureResident();
    say("Measuring an isolate's memory");
    const memory = await measureMemory(join(data, 'memory'));
    const seconds = Math.round((Date.now() - began) / 1_000);
    return { machine, quick, serving, enrolling, scoring, growth, large, resident, memory, bundle, startup, seconds };
  } finally {
    await stack.stop();
  }
}

try {
  await ensureSetup();
  const data = join(STATE, 'bench');
  rmSync(data, { recursive: true, force: true });
  mkdirSync(join(data, 'startup'), { recursive: true });
  const report = await measureAll(data);
  // After a failure it stays, with the logs of every part.
  rmSync(data, { recursive: true, force: true });
  process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : `\n${toText(report)}`);
  process.exit(0);
} catch (error) {
  say(error instanceof Error ? (error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message) : String(error));
  process.exit(1);
}
