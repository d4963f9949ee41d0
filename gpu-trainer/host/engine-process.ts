/** One engine child: a listed environment, no shell, JSON in, JSON lines out, SIGTERM → grace → SIGKILL, and an exit code that means something. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Advice } from '../../shared/advice.ts';
import { EngineLine, type EngineResult, type EngineSpec } from '../../shared/engine.ts';
import type { Inspection } from '../../shared/quality.ts';
import { withoutPaths } from './failure.ts';
import { STUCK_MS, watch } from './stuck.ts';

const GRACE_MS = 20_000;
const STDERR_KEPT = 4_000;
const MEMORY_EVENTS = '/sys/fs/cgroup/memory.events';
const OUT_OF_MEMORY = {
  kind: 'failed',
  code: 'out_of_memory',
  detail: 'The kernel ended the engine because the memory of its host ran out.',
  retryable: true,
  blame: 'graft',
} as const;
const STUCK = {
  kind: 'failed',
  code: 'engine_stuck',
  detail: 'The engine hung: for half an hour it said nothing and did nothing.',
  retryable: true,
  blame: 'graft',
} as const;
const ENGINE_FOLDER = path.join(import.meta.dirname, '..');

export type EngineEnd =
  | { readonly kind: 'result'; readonly result: EngineResult }
  | { readonly kind: 'advice'; readonly advice: Advice }
  | { readonly kind: 'inspection'; readonly inspection: Inspection }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly code: string; readonly detail: string; readonly retryable: boolean; readonly blame: 'caller' | 'graft' };

export type EngineOptions = {
  readonly python: string;
  readonly args?: readonly string[];
  readonly threads: number;
  readonly signal: AbortSignal;
  /** Where the kernel counts what it killed for memory (cgroup 2). */
  readonly memoryEvents?: string;
  /** After so long without a word and without work it is taken for hung, and killed. */
  readonly stuckMs?: number;
  /** Called for each line in order; the next line waits for it. */
  readonly onLine: (line: EngineLine) => Promise<void>;
};

/** Runs one job to its end. Never rejects for what the engine does; rejects when `onLine` does (the child is killed first). */
export async function runEngine(spec: EngineSpec, options: EngineOptions): Promise<EngineEnd> {
  const threads = String(options.threads);
  const memoryEvents = options.memoryEvents ?? MEMORY_EVENTS;
  const killedBefore = await killedForMemory(memoryEvents);
  const child = spawn(options.python, options.args ?? ['-m', 'engine'], {
    cwd: ENGINE_FOLDER,
    shell: false,
    stdio: ['pipe', 'pipe', 'pipe'],
    // No secret of the host reaches the engine.
    env: {
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
      HOME: spec.out_dir,
      LANG: 'C.UTF-8',
      OMP_NUM_THREADS: threads,
      MKL_NUM_THREADS: threads,
      PYTHONUNBUFFERED: '1',
      // Where a disk is full in the middle of a .pyc, half of one is left, and every engine after this one would read it.
      PYTHONDONTWRITEBYTECODE: '1',
      CUBLAS_WORKSPACE_CONFIG: ':4096:8',
      ORT_DISABLE_TELEMETRY: '1',
    },
  });
  let notStarted = '';
  const exit = new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      notStarted = error.message;
      resolve(null);
    });
    child.once('close', (code) => resolve(code));
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
  });
  let kill: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill('SIGTERM');
    kill = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  };
  if (options.signal.aborted) stop();
  options.signal.addEventListener('abort', stop, { once: true });
  child.stdin.on('error', () => undefined); // a child that died early is reported by its exit code
  child.stdin.end(JSON.stringify(spec));

  let ending: EngineEnd | null = null;
  let failure: Extract<EngineEnd, { kind: 'failed' }> | null = null;
  let taking = false;
  const ifStuck = (): void => {
    failure ??= STUCK;
    child.kill('SIGKILL');
  };
  const watched = watch(child.pid ?? 0, options.stuckMs ?? STUCK_MS, () => taking, ifStuck);
  try {
    for await (const text of createInterface({ input: child.stdout })) {
      watched.heard();
      const line = parseLine(text);
      if (line === null) {
        failure = {
          kind: 'failed',
          code: 'engine_garbage',
          detail: `The engine wrote a line that is not of the protocol: ${text.slice(0, 200)}`,
          retryable: true,
          blame: 'graft',
        };
        child.kill('SIGKILL');
        break;
      }
      if (line.type === 'result') ending = { kind: 'result', result: line.result };
      else if (line.type === 'advice') ending = { kind: 'advice', advice: line.advice };
      else if (line.type === 'inspection') ending = { kind: 'inspection', inspection: line.inspection };
      else if (line.type === 'error')
        failure = { kind: 'failed', code: line.code, detail: line.detail, retryable: line.retryable, blame: line.blame };
      else {
        taking = true;
        await options.onLine(line);
        taking = false;
        watched.heard();
      }
    }
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    options.signal.removeEventListener('abort', stop);
    await exit;
    watched.end();
    clearTimeout(kill);
  }
  const code = await exit;
  if (code === 0 && ending) return ending;
  if (code === 3 || options.signal.aborted) return { kind: 'stopped' };
  // The kernel ends whoever takes the last memory, and leaves it no time to say so.
  const killed = failure === null ? child.signalCode === 'SIGKILL' : failure.code === 'rank_lost';
  if (killed && (await killedForMemory(memoryEvents)) > killedBefore) return OUT_OF_MEMORY;
  if (failure) return failure;
  const said = `The engine ended with ${code ?? child.signalCode ?? 'no exit code'}: ${notStarted || stderr.trim().slice(-1_500)}`;
  process.stderr.write(`${new Date().toISOString()} ${said}\n`);
  return {
    kind: 'failed',
    code: 'engine_crashed',
    detail: withoutPaths(said),
    retryable: true,
    blame: 'graft',
  };
}

async function killedForMemory(file: string): Promise<number> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
}

function parseLine(text: string): EngineLine | null {
  try {
    return EngineLine.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
