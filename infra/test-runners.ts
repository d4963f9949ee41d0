/** The runners of `npm test`. Each ends in a count of its tests; a runner that crashed counts as one failure. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { NODE, PYTHON, ROOT, STATE } from './paths.ts';
import { pytestFaults, vitestFaults, VitestReport } from './test-faults.ts';

/** `faults`: what failed, a text of some lines each. */
export type Tally = { readonly passed: number; readonly failed: number; readonly faults: readonly string[] };

export const RESULTS = join(STATE, 'test-results');
export const ENGINE_TESTS = join(ROOT, 'gpu-trainer/engine/tests');
/** What a runner that has ended may still have in its pipes; a process that it left behind would hold them open for ever. */
const DRAIN_MS = 2_000;
const running = new Set<ChildProcess>();
let stopped = false;

/** Ends what is running; nothing more is started. */
export function stopRunners(signal: NodeJS.Signals): void {
  stopped = true;
  for (const child of running) child.kill(signal);
}

/** Runs a tool to its end: the exit code, null for none. With a `mark`, each line of its output comes behind it, so that two may run side by side. */
async function run(mark: string | null, command: string, args: readonly string[], cwd: string): Promise<number | null> {
  if (stopped) return null;
  const child = spawn(command, args, { cwd, stdio: mark === null ? 'inherit' : ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  for (const stream of [child.stdout, child.stderr])
    if (stream) createInterface({ input: stream }).on('line', (line) => process.stdout.write(`${mark} │ ${line}\n`));
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('exit', resolve);
  });
  await Promise.race([closed, sleep(DRAIN_MS)]);
  running.delete(child);
  return code;
}

/** A runner may fail although none of its tests did: an error outside of them, a signal. */
function explained(failed: number, faults: readonly string[], name: string, status: number | null): readonly string[] {
  return failed > 0 && faults.length === 0 ? [`✗ ${name} ended with ${status}, and its report names no test: see its output above`] : faults;
}

/** Vitest with these arguments; `mark` as of `run`, and the name of its report. */
export async function runVitest(mark: string | null, args: readonly string[]): Promise<Tally> {
  const report = join(RESULTS, `vitest-${mark ?? 'some'}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const status = await run(mark, NODE, [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', ...reporters, ...args], ROOT);
  const name = `vitest ${mark ?? args.join(' ')}`;
  if (!existsSync(report)) return { passed: 0, failed: 1, faults: [`✗ ${name} ended with ${status} and left no report`] };
  const r = VitestReport.parse(JSON.parse(readFileSync(report, 'utf8')));
  // A file that could not be loaded has no failed test of its own.
  const failed = Math.max(r.numFailedTests, r.numFailedTestSuites > 0 || status !== 0 ? 1 : 0);
  return { passed: r.numPassedTests, failed, faults: explained(failed, vitestFaults(r, ROOT), name, status) };
}

/** `tests`: names of files of the engine's tests. */
export async function runPytest(mark: string, tests: readonly string[]): Promise<Tally> {
  const report = join(RESULTS, `${mark}.xml`);
  const paths = tests.map((file) => join(ENGINE_TESTS, file));
  const status = await run(mark, PYTHON, ['-m', 'pytest', '-q', ...paths, `--junitxml=${report}`], join(ROOT, 'gpu-trainer'));
  const text = existsSync(report) ? readFileSync(report, 'utf8') : '';
  const count = (name: string): number => Number(new RegExp(`${name}="(\\d+)"`).exec(text)?.[1] ?? 0);
  const bad = count('failures') + count('errors');
  const failed = Math.max(bad, status === 0 ? 0 : 1);
  return { passed: count('tests') - bad - count('skipped'), failed, faults: explained(failed, pytestFaults(text), `pytest ${mark}`, status) };
}
