/**
 * `npm test`: set-up, then everything in two lanes side by side, as each runner keeps about one core busy; the last line is `N passed, N failed` over all
 * of it, and what failed stands right before it. `npm test -- <file> …` is vitest alone with these arguments.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { runChecks } from './check/run.ts';
import { ensureSetup } from './setup/main.ts';
import { ENGINE_TESTS, RESULTS, runPytest, runVitest, stopRunners, type Tally } from './test-runners.ts';

const LANES = 2;
const ENGINE = readdirSync(ENGINE_TESTS).filter((file) => /^test_.*\.py$/.test(file));
/** What is spread over processes, streamed or cut short, apart from the rest of the engine: all of its tests take longer than everything else. */
const PROCESSES = /^test_(?:rank|resume|streaming|side_runs|time_limit|errors)/;
/** A lane that is free takes the next one. The long ones come first, so that both end at about the same time. */
const RUNNERS: readonly (() => Promise<Tally>)[] = [
  async () =>
    await runPytest(
      'engine',
      ENGINE.filter((file) => !PROCESSES.test(file)),
    ),
  runChecks,
  async () => await runVitest('worker', ['--project', 'worker']),
  async () =>
    await runPytest(
      'processes',
      ENGINE.filter((file) => PROCESSES.test(file)),
    ),
  async () => await runVitest('e2e', ['--project', 'node', 'test/e2e']),
  async () => await runVitest('node', ['--project', 'node', '--exclude', 'test/e2e/**']),
];

async function guarded(run: () => Promise<Tally>): Promise<Tally> {
  try {
    return await run();
  } catch (error) {
    const fault = `✗ ${error instanceof Error ? error.message : String(error)}`;
    process.stderr.write(`${fault}\n`);
    return { passed: 0, failed: 1, faults: [fault] };
  }
}

async function all(): Promise<Tally[]> {
  const args = process.argv.slice(2);
  await ensureSetup();
  if (args.length > 0) return [await runVitest(null, args)];
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopRunners(signal));
  const left = RUNNERS.values();
  const tallies: Tally[] = [];
  const lane = async (): Promise<void> => {
    for (const runner of left) tallies.push(await guarded(runner));
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return tallies;
}

rmSync(RESULTS, { recursive: true, force: true });
mkdirSync(RESULTS, { recursive: true });
let passed = 0;
let failed = 0;
const faults: string[] = [];
try {
  for (const tally of await all()) {
    passed += tally.passed;
    failed += tally.failed;
    faults.push(...tally.faults);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  failed += 1;
}
if (faults.length > 0) process.stdout.write(`\nWhat failed:\n${faults.join('\n')}\n`);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
