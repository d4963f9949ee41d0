/**
 * SetFit (Tunstall et al. 2022) beside the shipped heads: the package itself, from the same weights, on the same seeded episodes of 8 shots. It trains
 * the whole backbone in every episode, minutes on a CPU where a head takes milliseconds; both times are printed.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { TEXT_MAX_TOKENS } from '../../../shared/limits.ts';
import { progressBar } from '../../progress.ts';
import { backgroundOf, embedSet, publishedDimension, type EmbeddedSet } from './embeddings.ts';
import { episodes, type Episode } from './episodes.ts';
import { mean } from './measures.ts';
import { runOurs, type Names } from './ours.ts';
import { runPeers } from './run-peers.ts';
import { ensureSetFit } from './setfit-environment.ts';
import type { LabelledSet } from './sets.ts';
import { figure, table } from './table.ts';

const SHOTS = 8;
/** Rows whose embeddings are compared before anything is trained. */
const PROBE = 64;
/** Served graphs are int8, SetFit starts from the float weights: on the mean no further apart than this. */
const LEAST_COSINE = 0.99;

const Line = z.union([
  z.object({ set: z.string(), least_cosine: z.number(), mean_cosine: z.number() }),
  z.object({ set: z.string(), accuracy: z.number(), steps: z.number(), seconds: z.number() }),
]);
type Prepared = { readonly source: LabelledSet; readonly set: EmbeddedSet; readonly list: readonly Episode[] };
type Theirs = { cosine: { least: number; mean: number } | null; accuracy: number[]; seconds: number[]; steps: number };

/** Round by round over the sets, until all episodes or the minutes are used: every set gets as many episodes as the others. */
async function runSetFit(all: readonly Prepared[], minutes: number | null): Promise<Map<string, Theirs>> {
  const { python, model } = await ensureSetFit();
  const folder = mkdtempSync(join(tmpdir(), 'graft-setfit-'));
  const results = new Map<string, Theirs>(all.map(({ set }) => [set.name, { cosine: null, accuracy: [], seconds: [], steps: 0 }]));
  const rounds = Math.max(...all.map(({ list }) => list.length));
  const bar = progressBar('SetFit');
  try {
    // SetFit has no more than what the published network gives.
    const own = publishedDimension('text');
    const sets = all.map(({ source, set, list }) => {
      const texts = source.items.map((item) => item.text ?? '');
      return {
        set: set.name,
        texts,
        probe: texts.slice(0, PROBE),
        probe_rows: set.rows.slice(0, PROBE).map((row) => [...row.subarray(0, own)]),
        episodes: list,
      };
    });
    writeFileSync(join(folder, 'given.json'), JSON.stringify({ tokens: TEXT_MAX_TOKENS, minutes, sets }));
    const child = spawn(python, [join(import.meta.dirname, 'peer_setfit.py'), model, join(folder, 'given.json')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        OMP_NUM_THREADS: process.env['OMP_NUM_THREADS'] ?? '1',
        HF_HUB_OFFLINE: '1',
        HF_DATASETS_CACHE: join(folder, 'datasets'),
      },
    });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => (errors = (errors + part).slice(-4_000)));
    const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
    for await (const text of createInterface({ input: child.stdout })) {
      const line = Line.parse(JSON.parse(text));
      const into = results.get(line.set)!;
      if ('accuracy' in line) {
        into.accuracy.push(line.accuracy);
        into.seconds.push(line.seconds);
        into.steps = line.steps;
        bar.tick(into.accuracy.length / rounds, `${line.set}: ${line.accuracy.toFixed(1)} % in ${line.seconds.toFixed(0)} s`);
      } else into.cosine = { least: line.least_cosine, mean: line.mean_cosine };
    }
    const code = await ended;
    if (code !== 0) throw new Error(`SetFit ended with ${code}:\n${errors}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  bar.end();
  return results;
}

function runGraft({ set, list }: Prepared, background: readonly Float32Array[], names: Names): { accuracy: number[]; seconds: number } {
  const started = performance.now();
  const accuracy = list.map((episode) => runOurs(set, background, episode, names).accuracy);
  return { accuracy, seconds: (performance.now() - started) / 1_000 / list.length };
}

/**
 * The comparison as text.
 * @param given episodes `skip` to `skip + count`; no new round of SetFit begins after `minutes` (null: all rounds)
 */
export async function besideSetFit(
  sources: readonly LabelledSet[],
  { skip, count, minutes }: { readonly skip: number; readonly count: number; readonly minutes: number | null },
): Promise<string> {
  const background = backgroundOf('text');
  const all = sources.map((source): Prepared => {
    const set = embedSet(source);
    return { source, set, list: episodes(set, SHOTS, skip + count).slice(skip) };
  });
  const theirs = await runSetFit(all, minutes);
  const columns: Record<string, number[][]> = {};
  const lines: string[][] = [];
  for (const prepared of all) {
    const setfit = theirs.get(prepared.set.name)!;
    if (!setfit.cosine || setfit.cosine.mean < LEAST_COSINE) throw new Error(`SetFit does not embed ${prepared.set.name} as Graft does`);
    const list = prepared.list.slice(0, setfit.accuracy.length);
    const peers = await runPeers(prepared.set, [[SHOTS, list]]);
    const ours = { none: runGraft({ ...prepared, list }, background, 'none'), true: runGraft({ ...prepared, list }, background, 'true') };
    const cells: Record<string, number[]> = {
      SetFit: setfit.accuracy,
      Graft: ours.none.accuracy,
      'Graft with names': ours.true.accuracy,
      'names − SetFit': ours.true.accuracy.map((value, i) => value - setfit.accuracy[i]!),
      'LogisticRegression C=1': peers.map((line) => line.accuracy['LogisticRegression C=1']!),
    };
    for (const [name, values] of Object.entries(cells)) (columns[name] ??= []).push(values);
    lines.push([
      prepared.set.name,
      String(list.length),
      ...Object.values(cells).map(figure),
      String(setfit.steps),
      mean(setfit.seconds).toFixed(1),
      ours.true.seconds.toFixed(2),
      setfit.cosine.mean.toFixed(4),
      setfit.cosine.least.toFixed(4),
    ]);
  }
  const heads = ['set', 'episodes', ...Object.keys(columns), 'steps', 'SetFit s', 'Graft s', 'mean cosine', 'least'];
  const means = ['mean of sets', '', ...Object.values(columns).map((sets) => mean(sets.map(mean)).toFixed(2)), '', '', '', '', ''];
  return `\n${SHOTS} shots, accuracy in % with 95 % interval; seconds an episode; cosine of the two embeddings before training\n\n${table([heads, ...lines, means])}\n`;
}
