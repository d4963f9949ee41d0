/** One start at a time over a data folder: a second one would end the parts of the first, which start again, and so on. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

const FILE = 'running.json';
/** `started`: when the kernel says that it began, so that a process that got the number of a dead one is not taken for it; null where there is no /proc. */
const Holder = z.object({ pid: z.number().int().positive(), started: z.string().nullable() });
type Holder = z.infer<typeof Holder>;

/**
 * Marks `dir` as this process's. Waits up to `waitMs` for a holder that is ending, and throws when it stays.
 * @returns gives it back
 */
export async function claimFolder(dir: string, waitMs = 15_000): Promise<() => void> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, FILE);
  const until = Date.now() + waitMs;
  for (;;) {
    const holder = holderOf(file);
    if (holder === null || holder.pid === process.pid || !isAlive(holder)) break;
    if (Date.now() >= until)
      throw new Error(`${dir} is in use by another start (process ${holder.pid}). Stop that one, or name another folder with --data.`);
    await sleep(200);
  }
  writeFileSync(file, JSON.stringify({ pid: process.pid, started: startOf(process.pid) } satisfies Holder), { mode: 0o600 });
  return () => {
    if (holderOf(file)?.pid === process.pid) rmSync(file, { force: true });
  };
}

function holderOf(file: string): Holder | null {
  if (!existsSync(file)) return null;
  try {
    return Holder.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    // Half written by a process that died over it.
    return null;
  }
}

function isAlive({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return started === null || startOf(pid) === started;
}

/** Field 22 of /proc/<pid>/stat; the name before it is in brackets and may have blanks. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
