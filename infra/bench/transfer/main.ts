/**
 * `npm run bench:transfer [-- --pairs apple>google,emoji,mails --sizes 8,24 --seeds 3 --methods coral,fine_tune --epochs 20 --quick --minutes 50 --workers 2 --out FILE]`: the engine itself
 * on pairs of domains. Which method is how accurate, whether adapting beats the same method without it, whether the gate was right about rows that it
 * did not see, and what the choices of `auto` and of the advice cost. Figures also go to a JSON file after every episode, and the tables beside it as text;
 * `--resume` goes on from it.
 * `--heads`: frozen against aligned closed-form heads alone, which needs no training.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ModelManifest } from '../../../shared/model-manifest.ts';
import { STATE } from '../../paths.ts';
import { progressBar } from '../../progress.ts';
import { ensureSetup } from '../../setup/main.ts';
import { describeMachine } from '../machine.ts';
import { accuracyOf } from '../shift/ours.ts';
import { STYLES } from '../accuracy/sets.ts';
import { writeCell } from './cell.ts';
import { domainOpener } from './domains.ts';
import { solveEdge } from './edge.ts';
import { Engine, type Named } from './engine.ts';
import { drawEpisode } from './episode.ts';
import { measureHeads, printHeads, type HeadsCell } from './heads.ts';
import { judge } from './judge.ts';
import { methodOf, parseOptions, type Asked, type MethodName, type Pair } from './options.ts';
import type { Cell, Measured } from './questions.ts';
import { printAll } from './tables.ts';

type Task = { readonly pair: Pair; readonly size: number; readonly seed: number };

const isEmoji = (name: string): boolean => (STYLES as readonly string[]).includes(name);
const kindOf = (pair: Pair): string => (isEmoji(pair.source) ? (pair.target === null ? 'emoji, one style' : 'emoji pairs') : pair.name);

/** The method of the run that an advice amounts to; `full` networks are not among them. */
function methodNamed({ method, options }: Named): MethodName | null {
  if (method === 'domain_adaptation') return options['alignment'] as MethodName;
  if (method === 'domain_confusion') return 'dann';
  if (method === 'fine_tune' && options['depth'] === 'full') return null;
  return method as MethodName;
}

async function runCell(engine: Engine, open: ReturnType<typeof domainOpener>, { pair, size, seed }: Task, asked: Asked): Promise<Cell> {
  const source = open(pair.source);
  const target = pair.target === null ? null : open(pair.target);
  const episode = drawEpisode(source.set, target?.set ?? null, size, seed);
  const edge = solveEdge(source, target, episode);
  const folder = mkdtempSync(join(tmpdir(), 'graft-transfer-'));
  try {
    const files = writeCell(folder, source, target, episode, edge.head, seed);
    const sets = [pair.source, ...(pair.target === null ? [] : [pair.target])];
    const measured: Partial<Record<MethodName, Measured>> = {};
    for (const name of asked.methods) {
      const method = methodOf(name, source.set.modality, pair, asked.epochs);
      if (!method) continue;
      const spec = files.train(name, method);
      const result = await engine.run(spec, sets);
      const manifest = ModelManifest.parse(JSON.parse(readFileSync(join(spec.out_dir, 'manifest.json'), 'utf8')));
      measured[name] = { ...judge(result, manifest, episode.gate.rows.length, seed), seconds: result.seconds, mix: result.tuned_mix };
    }
    const auto = await engine.choose(files.train('auto', { type: 'auto' }));
    const advice = await engine.advise(files.advise(), sets);
    engine.forget();
    const rows = episode.test.rows.map((row) => (target ?? source).set.rows[row]!);
    return {
      pair: pair.name,
      kind: kindOf(pair),
      size,
      seed,
      rows: {
        train: episode.train.rows.length,
        unlabelled: episode.unlabelled.length,
        gate: episode.gate.rows.length,
        test: episode.test.rows.length,
      },
      methods: measured,
      edge: { enrolled: accuracyOf(edge.head, rows, episode.test.y), adapted: edge.adapted && accuracyOf(edge.adapted, rows, episode.test.y) },
      auto: methodNamed(auto),
      advice: { method: methodNamed(advice.how), verdict: advice.when.verdict },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @throws Error when they were measured otherwise, so that no table mixes two questions */
function cellsBefore(file: string, asked: Asked): Cell[] {
  if (!existsSync(file)) return [];
  const { options, cells } = JSON.parse(readFileSync(file, 'utf8')) as { options: Asked; cells: Cell[] };
  if (options.epochs !== asked.epochs || options.methods.join() !== asked.methods.join())
    throw new Error(`--resume: ${file} was measured with --methods ${options.methods.join()} --epochs ${String(options.epochs)}`);
  return cells;
}

async function runHeads(asked: Asked, out: string): Promise<string> {
  const open = domainOpener();
  const bar = progressBar('Heads');
  const pairs = asked.pairs.filter((pair) => pair.target !== null);
  const cells: HeadsCell[] = [];
  for (const [i, pair] of pairs.entries()) {
    cells.push(...(await measureHeads(pair, open(pair.source), open(pair.target!), asked.sizes, asked.seeds)));
    bar.tick((i + 1) / pairs.length, pair.name);
    writeFileSync(out, `${JSON.stringify({ options: asked, cells }, null, 1)}\n`);
  }
  bar.end(`${cells.length} draws`);
  return printHeads(cells);
}

async function runAll(asked: Asked, out: string, machine: ReturnType<typeof describeMachine>): Promise<string> {
  // Seeds outermost: a run that is cut has seen every pair.
  const all = asked.seeds.flatMap((seed) => asked.sizes.flatMap((size) => asked.pairs.map((pair): Task => ({ pair, size, seed }))));
  const cells = asked.resume ? cellsBefore(out, asked) : [];
  const done = new Set(cells.map((c) => `${c.pair}/${c.size}/${c.seed}`));
  const waiting = all.filter(({ pair, size, seed }) => !done.has(`${pair.name}/${size}/${seed}`));
  const planned = cells.length + waiting.length;
  const open = domainOpener();
  const bar = progressBar('Transfer');
  bar.tick(cells.length / planned);
  const started = performance.now();
  let longest = 0;
  const next = (): Task | undefined => {
    const tooLate = asked.minutes !== null && performance.now() - started + longest > asked.minutes * 60_000;
    return tooLate ? undefined : waiting.shift();
  };
  const work = async (): Promise<void> => {
    const engine = new Engine();
    try {
      for (let task = next(); task; task = next()) {
        const began = performance.now();
        cells.push(await runCell(engine, open, task, asked));
        longest = Math.max(longest, performance.now() - began);
        bar.tick(cells.length / planned, `${task.pair.name}, ${task.size} a class, seed ${task.seed}`);
        writeFileSync(out, `${JSON.stringify({ machine, options: asked, cells }, null, 1)}\n`);
        writeFileSync(out.replace(/(\.json)?$/, '.txt'), printAll(cells, planned));
      }
    } finally {
      engine.end();
    }
  };
  await Promise.all(Array.from({ length: Math.min(asked.workers, waiting.length) }, work));
  bar.end(`${cells.length} of ${planned} episodes`);
  return printAll(cells, planned);
}

try {
  const asked = parseOptions(process.argv.slice(2));
  await ensureSetup();
  const machine = describeMachine();
  const out = asked.out ?? join(STATE, 'bench', asked.heads ? 'transfer-heads.json' : 'transfer.json');
  mkdirSync(dirname(out), { recursive: true });
  const text = asked.heads ? await runHeads(asked, out) : await runAll(asked, out, machine);
  process.stdout.write(`${machine.cpu}, ${machine.cores} cores\n${text}\nAll figures: ${out}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
