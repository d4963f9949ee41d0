/** The engine in a process that stays: specs in, its own lines out. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { EngineLine, type EngineResult, type EngineSpec } from '../../../shared/engine.ts';
import type { Advice } from '../../../shared/advice.ts';
import { CACHE, PYTHON, ROOT } from '../../paths.ts';

/** A method with its options, as `auto` or an advice names it. */
export type Named = { readonly method: string; readonly options: Readonly<Record<string, unknown>> };
type Last = { readonly result?: EngineResult; readonly advice?: Advice; readonly choice?: Named };

export class Engine {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  private stderr = '';

  constructor() {
    this.child = spawn(PYTHON, [join(import.meta.dirname, 'worker.py'), join(CACHE, 'trunk')], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, PYTHONPATH: join(ROOT, 'gpu-trainer'), OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
    });
    this.child.stderr!.setEncoding('utf8').on('data', (part: string) => (this.stderr = `${this.stderr}${part}`.slice(-4_000)));
    this.lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  async run(spec: EngineSpec, sets: readonly string[]): Promise<EngineResult> {
    const { result } = await this.ask({ do: 'run', spec, sets });
    return result!;
  }

  async advise(spec: EngineSpec, sets: readonly string[]): Promise<Advice> {
    const { advice } = await this.ask({ do: 'run', spec, sets });
    return advice!;
  }

  /** What `auto` would do, without doing it. */
  async choose(spec: EngineSpec): Promise<Named> {
    const { choice } = await this.ask({ do: 'choose', spec, sets: [] });
    return choice!;
  }

  /** What was computed for the rows of an episode alone is of no use to the next one. */
  forget(): void {
    this.child.stdin!.write(`${JSON.stringify({ do: 'forget' })}\n`);
  }

  end(): void {
    this.child.stdin!.end();
  }

  private async ask(request: { do: 'run' | 'choose'; spec: EngineSpec; sets: readonly string[] }): Promise<Last> {
    this.child.stdin!.write(`${JSON.stringify(request)}\n`);
    for (;;) {
      const next = await this.lines.next();
      if (next.done === true) throw new Error(`the engine ended during ${request.spec.job}: ${this.stderr}`);
      const line = EngineLine.parse(JSON.parse(next.value));
      if (line.type === 'error') throw new Error(`${request.spec.job}: ${line.code}: ${line.detail}`);
      if (line.type === 'result') return { result: line.result };
      if (line.type === 'advice') return { advice: line.advice };
      if (line.type === 'choice' && request.do === 'choose') {
        const { method, options } = line;
        return { choice: { method, options: options.find((option) => option.method === method)?.options ?? {} } };
      }
    }
  }
}
