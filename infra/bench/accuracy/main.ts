/**
 * `npm run bench:accuracy [-- --episodes 50 --sets digits,mails --json]`: the shipped head code against what a user would pick instead, on real
 * embeddings, the same seeded episodes, in the same run. Prints means with 95 % intervals, AUROC for unknowns and the calibration error.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { encodeSafetensors, tensor } from '../../../shared/safetensors.ts';
import { PYTHON } from '../../paths.ts';
import { progressBar } from '../../progress.ts';
import { ensureSetup } from '../../setup/main.ts';
import { backgroundOf, embedDigits, embedSet, type EmbeddedSet } from './embeddings.ts';
import { episodes, type Episode } from './episodes.ts';
import { runTfjsKnn } from './knn.ts';
import { calibrationError, mean, type Said } from './measures.ts';
import { runOurs, type Names, type Outcome } from './ours.ts';
import { printAll, type Cell } from './table.ts';
import { emojiNames, emojiPictures, mails } from './sets.ts';

const { values } = parseArgs({ options: { episodes: { type: 'string' }, sets: { type: 'string' }, json: { type: 'boolean' } } });
const COUNT = Number(values.episodes ?? 50);
const SHOTS = [1, 2, 4, 8, 16, 32] as const;
const SETS: Record<string, () => EmbeddedSet> = {
  'emoji-twitter': () => embedSet(emojiPictures('twitter')),
  'emoji-google': () => embedSet(emojiPictures('google')),
  'emoji-apple': () => embedSet(emojiPictures('apple')),
  'emoji-facebook': () => embedSet(emojiPictures('facebook')),
  digits: embedDigits,
  'names-category': () => embedSet(emojiNames('category')),
  'names-subcategory': () => embedSet(emojiNames('subcategory')),
  mails: () => embedSet(mails()),
};
const PeerLine = z.object({ shots: z.number(), accuracy: z.record(z.string(), z.number()), auroc: z.number().optional() });

/** The scikit-learn peers run beside ours, in a process of their own. */
async function runPeers(set: EmbeddedSet, all: readonly (readonly [number, readonly Episode[]])[]): Promise<z.infer<typeof PeerLine>[]> {
  const folder = mkdtempSync(join(tmpdir(), 'graft-accuracy-'));
  try {
    const d = set.rows[0]!.length;
    const flat = new Float32Array(set.rows.length * d);
    for (const [i, row] of set.rows.entries()) flat.set(row, i * d);
    writeFileSync(join(folder, 'set.safetensors'), encodeSafetensors({ rows: tensor('F32', [set.rows.length, d], flat) }));
    writeFileSync(join(folder, 'episodes.json'), JSON.stringify(all));
    const child = spawn(PYTHON, [join(import.meta.dirname, 'peers.py'), join(folder, 'set.safetensors'), join(folder, 'episodes.json')], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    const code = await new Promise((resolve) => child.on('close', resolve));
    if (code !== 0) throw new Error(`the peers ended with ${String(code)} on ${set.name}`);
    return z.array(PeerLine).parse(JSON.parse(text));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function summarise(outcomes: readonly Outcome[]): { accuracy: number[]; auroc: number | null; ece: number } {
  const known = outcomes.flatMap((o) => (o.auroc === null ? [] : [o.auroc]));
  const said: Said[] = outcomes.flatMap((o) => o.said);
  return { accuracy: outcomes.map((o) => o.accuracy), auroc: known.length > 0 ? mean(known) : null, ece: calibrationError(said) };
}

async function measureSet(set: EmbeddedSet): Promise<Cell[]> {
  const background = backgroundOf(set.modality);
  const all = SHOTS.map((shots) => [shots, episodes(set, shots, COUNT)] as const).filter(([, list]) => list.length > 0);
  const peers = runPeers(set, all);
  const bar = progressBar(set.name);
  const cells: Cell[] = [];
  for (const [at, [shots, list]] of all.entries()) {
    const byNames = {} as Record<Names, ReturnType<typeof summarise>>;
    for (const names of set.nameRows ? (['none', 'true', 'shuffled'] as const) : (['none'] as const)) {
      const outcomes: Outcome[] = [];
      for (const episode of list) {
        outcomes.push(runOurs(set, background, episode, names));
        bar.tick((at + outcomes.length / list.length) / all.length, `${shots} shots, names: ${names}`);
        // Lets the peers' output through.
        await new Promise(setImmediate);
      }
      byNames[names] = summarise(outcomes);
    }
    const knn: number[] = [];
    for (const episode of list) knn.push(await runTfjsKnn(set, episode));
    cells.push({ set: set.name, modality: set.modality, shots, ours: byNames, peers: { 'tfjs knn-classifier': knn }, peerAuroc: null });
  }
  bar.end();
  const lines = await peers;
  for (const cell of cells) {
    const mine = lines.filter((line) => line.shots === cell.shots);
    for (const name of Object.keys(mine[0]?.accuracy ?? {})) cell.peers[name] = mine.map((line) => line.accuracy[name]!);
    const known = mine.flatMap((line) => (line.auroc === undefined ? [] : [line.auroc]));
    cell.peerAuroc = known.length > 0 ? mean(known) : null;
  }
  return cells;
}

try {
  await ensureSetup();
  const wanted = values.sets?.split(',') ?? Object.keys(SETS);
  const cells: Cell[] = [];
  for (const name of wanted) {
    const load = SETS[name];
    if (!load) throw new Error(`there is no set ${name}; there are ${Object.keys(SETS).join(', ')}`);
    cells.push(...(await measureSet(load())));
  }
  process.stdout.write(values.json ? `${JSON.stringify(cells)}\n` : printAll(cells, COUNT));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
