/** `npm test`: set-up, the static checks, then every runner; the last line is `N passed, N failed` over all of them. A runner that crashed counts as one failure. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { runChecks } from './check/run.ts';
import { NODE, PYTHON, ROOT, STATE } from './paths.ts';
import { ensureSetup } from './setup/main.ts';

const Vitest = z.object({ numPassedTests: z.number(), numFailedTests: z.number(), numFailedTestSuites: z.number() });
const out = join(STATE, 'test-results');
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
let passed = 0;
let failed = 0;
try {
  await ensureSetup();
  if (process.argv.length === 2) {
    const checks = await runChecks();
    passed += checks.passed;
    failed += checks.failed;
  }
  const report = join(out, 'vitest.json');
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...process.argv.slice(2)];
  const vitest = spawnSync(NODE, [join(ROOT, 'node_modules/vitest/vitest.mjs'), ...args], { cwd: ROOT, stdio: 'inherit' });
  if (existsSync(report)) {
    const r = Vitest.parse(JSON.parse(readFileSync(report, 'utf8')));
    passed += r.numPassedTests;
    // A file that could not be loaded has no failed test of its own.
    failed += Math.max(r.numFailedTests, r.numFailedTestSuites > 0 || vitest.status !== 0 ? 1 : 0);
  } else failed += 1;
  if (process.argv.length === 2 && existsSync(join(ROOT, 'gpu-trainer/engine/tests'))) {
    const junit = join(out, 'pytest.xml');
    const pytest = spawnSync(PYTHON, ['-m', 'pytest', '-q', 'engine/tests', `--junitxml=${junit}`], {
      cwd: join(ROOT, 'gpu-trainer'),
      stdio: 'inherit',
    });
    const count = (name: string): number =>
      Number(new RegExp(`${name}="(\\d+)"`).exec(existsSync(junit) ? readFileSync(junit, 'utf8') : '')?.[1] ?? 0);
    const bad = count('failures') + count('errors');
    passed += count('tests') - bad - count('skipped');
    failed += Math.max(bad, pytest.status === 0 ? 0 : 1);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  failed += 1;
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
