/**
 * `npm run bench:precision [-- --episodes 5 --sets digits]`: what the shorts of a resident head change beside the same head in the heap, on real
 * embeddings: probabilities, the margin between known and unknown, and how often an answer becomes another one.
 */
import { parseArgs } from 'node:util';
import type { Head } from '../../../shared/head.ts';
import { placeHead } from '../../../functions/learning/resident-head.ts';
import { knownness, scoreHead } from '../../../functions/learning/score-head.ts';
import { ensureSetup } from '../../setup/main.ts';
import { table } from '../print.ts';
import { makeRowMemory } from '../row-memory.ts';
import { backgroundOf, embedDigits, embedSet, type EmbeddedSet } from './embeddings.ts';
import { episodes } from './episodes.ts';
import { solveEpisode, type Names } from './ours.ts';
import { emojiNames, emojiPictures, mails } from './sets.ts';

const { values } = parseArgs({ options: { episodes: { type: 'string' }, sets: { type: 'string' } } });
const COUNT = Number(values.episodes ?? 5);
const SHOTS = [1, 2, 8, 32] as const;
const SETS: Record<string, () => EmbeddedSet> = {
  'emoji-twitter': () => embedSet(emojiPictures('twitter')),
  'emoji-apple': () => embedSet(emojiPictures('apple')),
  digits: embedDigits,
  'names-category': () => embedSet(emojiNames('category')),
  mails: () => embedSet(mails()),
};

type Differences = { probability: number[]; margin: number[]; labels: number; verdicts: number };

function compare(head: Head, rows: readonly Float32Array[], into: Differences): void {
  const resident = placeHead(head, makeRowMemory(16 * 1024 * 1024));
  if (!resident) throw new Error('the memory holds one head');
  for (const base of rows) {
    const e = { base, tuned: null };
    const [exact, placed] = [scoreHead(head, e), scoreHead(resident.head, e)];
    const at = new Map(exact.scores.map(({ label, score }) => [label, score]));
    into.probability.push(Math.max(...placed.scores.map(({ label, score }) => Math.abs(score - at.get(label)!))));
    into.margin.push(Math.abs(knownness(head, head.openSet!, e) - knownness(resident.head, head.openSet!, e)));
    if (exact.scores[0]!.label !== placed.scores[0]!.label) into.labels += 1;
    if (exact.unknown !== placed.unknown) into.verdicts += 1;
  }
  resident.release();
}

function measure(set: EmbeddedSet, shots: number, names: Names): string[] | null {
  const background = backgroundOf(set.modality);
  const found: Differences = { probability: [], margin: [], labels: 0, verdicts: 0 };
  for (const episode of episodes(set, shots, COUNT)) {
    const head = solveEpisode(set, background, episode, names);
    const rows = [...episode.query, ...episode.probes, ...episode.support].map((row) => set.rows[row]!);
    compare(head, rows, found);
  }
  const n = found.probability.length;
  if (n === 0) return null;
  const figures = [found.probability, found.margin].flatMap((differences) => {
    const sorted = differences.toSorted((a, b) => a - b);
    return [sorted[Math.floor(0.99 * n)]!, sorted[n - 1]!].map((v) => v.toExponential(1));
  });
  return [`${set.name}${names === 'none' ? '' : ', names'}`, String(shots), ...figures, String(found.labels), String(found.verdicts), String(n)];
}

await ensureSetup();
const rows: string[][] = [];
for (const name of (values.sets ?? Object.keys(SETS).join(',')).split(',')) {
  const set = SETS[name]?.();
  if (!set) throw new Error(`no set is called ${name}: ${Object.keys(SETS).join(', ')}`);
  for (const names of set.nameRows ? (['none', 'true'] as const) : (['none'] as const))
    for (const shots of SHOTS) {
      const row = measure(set, shots, names);
      if (row) rows.push(row);
    }
}
const head = ['set', 'shots', 'probability, 99 %', 'largest', 'margin, 99 %', 'largest', 'other label', 'other verdict', 'answers'];
process.stdout.write(`${table(head, rows)}\n`);
