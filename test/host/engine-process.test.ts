/** Real child processes in the engine's place: what they write, how they end, and what the host makes of it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runEngine, type EngineEnd } from '../../gpu-trainer/host/engine-process.ts';
import type { EngineLine, EngineSpec } from '../../shared/engine.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-engine-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const spec = (): EngineSpec => ({
  protocol: 1,
  job: 'job_test',
  seed: 1,
  modality: 'image',
  task: 'single_label',
  method: { type: 'auto' },
  action: 'train',
  dataset: { arrays: 'none', labels: ['a', 'b'], tasks: [] },
  exclude_rows: [],
  exclude_target_rows: [],
  exclude_validation_rows: [],
  validation: null,
  target: null,
  backbones: [],
  label_texts: null,
  enrolled: null,
  source: null,
  incumbent: null,
  backbone: { id: 'none', dir: 'none' },
  advice: null,
  checkpoint: null,
  out_dir: folder,
  device: 'cpu',
  limits: { threads: 1, max_seconds: null, processes: 1 },
  false_reject_rate: null,
});
const PRELUDE = `
  const say = (line) => process.stdout.write(JSON.stringify(line) + '\\n');
  const phase = (name) => say({ type: 'phase', phase: name });
  const forever = () => setInterval(() => {}, 1000);
`;

type Run = { readonly end: EngineEnd; readonly lines: EngineLine[]; readonly ms: number };
/** Runs a script as the engine. `onLine` sees every line. */
async function run(
  script: string,
  more: { signal?: AbortSignal; onLine?: (line: EngineLine) => Promise<void>; python?: string; memoryEvents?: string; stuckMs?: number } = {},
): Promise<Run> {
  const lines: EngineLine[] = [];
  const started = performance.now();
  const end = await runEngine(spec(), {
    python: more.python ?? process.execPath,
    args: ['-e', PRELUDE + script],
    threads: 1,
    ...(more.stuckMs === undefined ? {} : { stuckMs: more.stuckMs }),
    ...(more.memoryEvents === undefined ? {} : { memoryEvents: more.memoryEvents }),
    signal: more.signal ?? new AbortController().signal,
    onLine: async (line) => {
      lines.push(line);
      await more.onLine?.(line);
    },
  });
  return { end, lines, ms: performance.now() - started };
}
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
/** The pid that a script wrote to `pid` in its home, which is the job's folder. */
const WRITE_PID = `require('fs').writeFileSync(process.env.HOME + '/pid', String(process.pid));`;
const pid = async (): Promise<number> => Number(await readFile(path.join(folder, 'pid'), 'utf8'));

describe('the end of the engine', () => {
  it('reports a child that was killed, with what it last said', async () => {
    const { end, lines } = await run(
      `console.error('about to embed'); phase('loading'); setTimeout(() => process.kill(process.pid, 'SIGKILL'), 100); forever();`,
    );
    expect(end).toMatchObject({ kind: 'failed', code: 'engine_crashed', retryable: true, blame: 'graft' });
    expect(end.kind === 'failed' && end.detail).toMatch(/SIGKILL.*about to embed/s);
    expect(lines).toEqual([{ type: 'phase', phase: 'loading' }]);
  });

  it('calls it a lack of memory when the kernel says that it killed for memory', async () => {
    const memoryEvents = path.join(folder, 'memory.events');
    const counted = (n: number): string => `low 0\noom 4\noom_kill ${n}\noom_group_kill 0\n`;
    const kill = (more: string): string => `${more} setTimeout(() => process.kill(process.pid, 'SIGKILL'), 100); forever();`;
    await writeFile(memoryEvents, counted(3));
    const count = `require('fs').writeFileSync(${JSON.stringify(memoryEvents)}, ${JSON.stringify(counted(4))});`;
    expect((await run(kill(count), { memoryEvents })).end).toMatchObject({ kind: 'failed', code: 'out_of_memory', retryable: true, blame: 'graft' });
    // The same death without a new count is no lack of memory.
    expect((await run(kill(''), { memoryEvents })).end).toMatchObject({ code: 'engine_crashed' });
  });

  it('passes on the error that the engine names', async () => {
    const said = { code: 'too_few_classes', detail: 'Training needs two labels.', retryable: false, blame: 'caller' };
    const { end } = await run(`say({ type: 'error', ...${JSON.stringify(said)} }); process.exitCode = 2;`);
    expect(end).toEqual({ kind: 'failed', ...said });
  });

  it.each([
    ['not JSON', `process.stdout.write('Downloading weights...\\n')`, 'Downloading weights...'],
    ['of no known type', `say({ type: 'gossip' })`, 'gossip'],
    ['lacking a field', `say({ type: 'error', code: 'x' })`, '"x"'],
  ])('refuses a line that is %s and ends the child', async (_what, script, detail) => {
    const { end, ms } = await run(`${WRITE_PID} ${script}; forever();`);
    expect(end).toMatchObject({ kind: 'failed', code: 'engine_garbage', retryable: true, blame: 'graft' });
    expect(end.kind === 'failed' && end.detail).toContain(detail);
    expect(isAlive(await pid())).toBe(false);
    expect(ms).toBeLessThan(10_000);
  });

  it('ends a child that hangs, and none that works in silence or waits for its host', async () => {
    const stuckMs = 2_000;
    const hangs = run(`${WRITE_PID} phase('loading'); forever();`, { stuckMs });
    // It has more to say than the pipe holds, and for a while nobody listens.
    let heard = 0;
    const waits = run(`for (let i = 0; i < 4_000; i++) phase('loading'); process.exitCode = 3;`, {
      stuckMs,
      onLine: async () => {
        heard += 1;
        if (heard === 1) await sleep(3 * stuckMs);
      },
    });
    const works = run(`const until = Date.now() + ${3 * stuckMs}; while (Date.now() < until); process.exitCode = 3;`, { stuckMs });
    expect((await hangs).end).toMatchObject({ kind: 'failed', code: 'engine_stuck', retryable: true, blame: 'graft' });
    expect(isAlive(await pid())).toBe(false);
    expect((await works).end).toEqual({ kind: 'stopped' });
    expect([(await waits).end, heard]).toEqual([{ kind: 'stopped' }, 4_000]);
  });

  it('takes no silence, and no missing program, for a result', async () => {
    expect((await run('process.exitCode = 0;')).end).toMatchObject({ kind: 'failed', code: 'engine_crashed' });
    const { end } = await run('', { python: path.join(folder, 'no-python') });
    expect(end).toMatchObject({ kind: 'failed', code: 'engine_crashed', blame: 'graft' });
    expect(end.kind === 'failed' && end.detail).toMatch(/spawn …\/no-python ENOENT/);
    expect(end.kind === 'failed' && end.detail).not.toContain(folder);
  });
});

describe('cancelling', () => {
  it('ends the child within seconds, without calling that a failure', async () => {
    const stop = new AbortController();
    const { end, ms } = await run(`${WRITE_PID} phase('training'); forever();`, {
      signal: stop.signal,
      onLine: async () => {
        stop.abort();
      },
    });
    expect(end).toEqual({ kind: 'stopped' });
    expect(ms).toBeLessThan(10_000);
    expect(isAlive(await pid())).toBe(false);
  });

  it('still takes the checkpoint that the engine writes on its way out', async () => {
    const stop = new AbortController();
    const line = { type: 'checkpoint', file: '/tmp/none', epoch: 3, sha256: '0', bytes: 1 };
    const { end, lines } = await run(
      `process.on('SIGTERM', () => { say(${JSON.stringify(line)}); process.exit(3); }); phase('training'); forever();`,
      {
        signal: stop.signal,
        onLine: async (said) => {
          if (said.type === 'phase') stop.abort();
          else await sleep(200); // a checkpoint takes its time to upload
        },
      },
    );
    expect(end).toEqual({ kind: 'stopped' });
    expect(lines.at(-1)).toEqual(line);
  });

  it('kills a child that does not listen, after a grace of twenty seconds', async () => {
    const stop = new AbortController();
    const { end, ms } = await run(`${WRITE_PID} process.on('SIGTERM', () => {}); phase('training'); forever();`, {
      signal: stop.signal,
      onLine: async () => {
        stop.abort();
      },
    });
    expect(end).toEqual({ kind: 'stopped' });
    expect(ms).toBeGreaterThan(19_000);
    expect(ms).toBeLessThan(30_000);
    expect(isAlive(await pid())).toBe(false);
  });

  it('ends the child when a line cannot be handed on', async () => {
    const refused = run(`${WRITE_PID} phase('training'); forever();`, {
      onLine: async () => {
        throw new Error('the lease is gone');
      },
    });
    await expect(refused).rejects.toThrow('the lease is gone');
    expect(isAlive(await pid())).toBe(false);
  });
});

describe('what the engine sees', () => {
  it('is the spec, and no secret of the host', async () => {
    process.env['GRAFT_RUNNER_TOKEN'] = 'graft_runner_that_must_not_leak';
    try {
      const { end } = await run(`
        let text = '';
        process.stdin.on('data', (d) => (text += d)).on('end', () => {
          const leaked = Object.keys(process.env).filter((name) => name.startsWith('GRAFT'));
          say({ type: 'error', code: JSON.parse(text).job, detail: leaked.join(), retryable: false, blame: 'graft' });
        });
      `);
      expect(end).toMatchObject({ code: 'job_test', detail: '' });
    } finally {
      delete process.env['GRAFT_RUNNER_TOKEN'];
    }
  });

  it('of this repository is the protocol: a spec that it cannot use is one error line', async () => {
    const python = path.join(import.meta.dirname, '../../.venv/bin/python');
    const end = await runEngine(
      { ...spec(), seed: 'one' as unknown as number },
      {
        python,
        threads: 1,
        signal: new AbortController().signal,
        onLine: () => Promise.resolve(),
      },
    );
    expect(end).toMatchObject({ kind: 'failed', code: 'spec_invalid', retryable: false, blame: 'graft' });
    expect(end.kind === 'failed' && end.detail).toContain('/seed');
  });
});
