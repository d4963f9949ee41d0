/** Runs all static checks, one after the other, and prints what each found. */
import { CHECKS } from './checks.ts';

export async function runChecks(): Promise<{ passed: number; failed: number; faults: readonly string[] }> {
  const found: string[] = [];
  for (const check of CHECKS) {
    const started = Date.now();
    const faults = await check.run();
    const title = `${faults === '' ? '✓' : '✗'} ${check.name} (${((Date.now() - started) / 1_000).toFixed(1)} s)`;
    const told = faults === '' ? title : `${title}\n${faults.replaceAll(/^/gm, '    ')}`;
    process.stderr.write(`${told}\n`);
    if (faults !== '') found.push(told);
  }
  return { passed: CHECKS.length - found.length, failed: found.length, faults: found };
}
