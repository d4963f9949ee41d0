/** Child processes of the local stack: a listed environment, output into a log file, SIGTERM → grace → SIGKILL. */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export type ChildOptions = {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment: nothing is inherited, so a stray AWS_ACCESS_KEY_ID or proxy setting cannot change what a part does. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly logFile: string;
  /** With a channel the child can send messages, and sees 'disconnect' when this process dies. */
  readonly ipc?: boolean;
};

export function spawnLogged(options: ChildOptions): ChildProcess {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, 'a', 0o600);
  const stdio: StdioOptions = options.ipc ? ['ignore', log, log, 'ipc'] : ['ignore', log, log];
  try {
    // A group of its own: Ctrl-C in a terminal reaches this process alone, which then stops the parts in order.
    return spawn(options.command, options.args, { env: { ...options.env }, cwd: options.cwd, stdio, shell: false, detached: true });
  } finally {
    closeSync(log);
  }
}

export const hasExited = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;

export function exited(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (hasExited(child)) resolve();
    else {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    }
  });
}

/** Signals the child's whole group, so that nothing it spawned is left; an empty group is no error. */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** SIGTERM to the child, SIGKILL to its group after `graceMs`. Resolves when the child is gone. */
export async function stopChild(child: ChildProcess, graceMs = 10_000): Promise<void> {
  if (!hasExited(child)) {
    child.kill('SIGTERM');
    const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), graceMs);
    await exited(child);
    clearTimeout(timer);
  }
  signalGroup(child, 'SIGKILL');
}

/** In the environment of every part: the data folder that it works on. Children of a part inherit it. */
export const PART_OF = 'GRAFT_PART_OF';

/** SIGKILLs every process marked as a part of `dir`, and waits until none is left. Nothing to do where there is no /proc. */
export async function endMarked(dir: string): Promise<void> {
  if (!existsSync('/proc/self/environ')) return;
  for (let tries = 0; tries < 50; tries++) {
    const left = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isMarked(name, dir));
    if (left.length === 0) return;
    for (const pid of left) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    await sleep(100);
  }
}

function isMarked(pid: string, dir: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`${PART_OF}=${dir}`);
  } catch {
    // Gone, or another user's.
    return false;
  }
}

/** The last lines of a log, for an error message that says why a part did not start. */
export function logTail(file: string, lines = 12): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '(no log)';
  }
}

/** What every child may see of this process's environment. */
export function baseEnvironment(): Record<string, string> {
  const kept: Record<string, string> = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: process.env['HOME'] || '/tmp', LANG: 'C.UTF-8' };
  for (const name of ['TMPDIR', 'SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS']) {
    const value = process.env[name];
    if (value) kept[name] = value;
  }
  return kept;
}
