/**
 * Notices a child that hangs: it says nothing, and neither it nor what it started does anything. Its host would keep the lease alive for ever. Long
 * work without a word is none, because it uses the processor; nor is what hangs and spins.
 */
import { readdir, readFile } from 'node:fs/promises';

/** Long beyond what a slow disk makes an engine wait. */
export const STUCK_MS = 30 * 60_000;
/** Of one processor: whoever waits for others looks whether they are there now and then. */
const BUSY_SHARE = 0.01;
/** Linux counts processor time to user space in hundredths of a second, whatever the kernel's own clock. */
const TICK_MS = 10;

/**
 * Calls `then` once, when `ms` at least and twice that at most have gone by without a word (`heard`) and without work. `isOurs`: the child may be waiting
 * for us, with more to say than the pipe holds.
 */
export function watch(pid: number, ms: number, isOurs: () => boolean, then: () => void): { readonly heard: () => void; readonly end: () => void } {
  let quiet = true;
  let before: number | null = null;
  const look = async (): Promise<void> => {
    const used = await processorTime(pid);
    const idle = quiet && !isOurs() && used !== null && before !== null && used - before < ms * BUSY_SHARE;
    [quiet, before] = [true, used];
    if (!idle) return;
    clearInterval(timer);
    then();
  };
  const timer = setInterval(() => void look(), ms);
  return {
    heard: () => {
      quiet = false;
    },
    end: () => clearInterval(timer),
  };
}

/** Milliseconds that this process and all below it have used; null where the system does not say. */
async function processorTime(root: number): Promise<number | null> {
  const names = await readdir('/proc').catch((): string[] => []);
  const stats = await Promise.all(
    names.filter((name) => /^\d+$/.test(name)).map(async (pid) => await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')),
  );
  const all = new Map<number, { parent: number; ticks: number }>();
  for (const stat of stats) {
    // proc(5): the name, in parentheses, may hold anything; then state, parent, … and utime, stime, cutime, cstime as fields 14 to 17.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, one) => sum + Number(one), 0);
    if (fields.length > 15) all.set(Number.parseInt(stat, 10), { parent: Number(fields[1]), ticks });
  }
  if (!all.has(root)) return null;
  const isBelow = (pid: number): boolean => pid === root || (pid > 1 && isBelow(all.get(pid)?.parent ?? 0));
  let ticks = 0;
  for (const [pid, one] of all) if (isBelow(pid)) ticks += one.ticks;
  return ticks * TICK_MS;
}
