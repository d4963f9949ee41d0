/** Runs all static checks, one after the other, and prints what each found. */
import { CHECKS } from './checks.ts';

export async function runChecks(): Promise<{ passed: number; failed: number }> {
  let failed = 0;
  for (const check of CHECKS) {
    const started = Date.now();
    const faults = await check.run();
    if (faults !== '') failed += 1;
    process.stderr.write(`${faults === '' ? '✓' : '✗'} ${check.name} (${((Date.now() - started) / 1_000).toFixed(1)} s)\n`);
    if (faults !== '') process.stderr.write(`${faults.replaceAll(/^/gm, '    ')}\n`);
  }
  return { passed: CHECKS.length - failed, failed };
}
