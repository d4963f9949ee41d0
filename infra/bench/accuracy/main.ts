/**
 * `npm run bench:accuracy [-- --episodes 50 --sets digits,mails --json]`: the shipped head code against what a user would pick instead, on real
 * embeddings, the same seeded episodes, in the same run. Prints means with 95 % intervals, AUROC for unknowns and the calibration error.
 * `-- --published` gives the peers what the published networks give, without what Graft reads from their trunks.
 * `-- --setfit [--episodes 16 --skip 0 --minutes 25]` measures text sets at 8 shots beside SetFit, which fine-tunes the backbone in every episode.
 */
import { parseArgs } from 'node:util';
import { progressBar } from '../../progress.ts';
import { ensureSetup } from '../../setup/main.ts';
import { backgroundOf, embedDigits, embedSet, publishedDimension, type MeasuredSet } from './embeddings.ts';
import { episodes } from './episodes.ts';
import { runTfjsKnn } from './knn.ts';
import { calibrationError, mean, type Said } from './measures.ts';
import { runOurs, type Names, type Outcome } from './ours.ts';
import { withPictureNames } from './picture-names.ts';
import { runPeers } from './run-peers.ts';
import { besideSetFit } from './setfit.ts';
import { printAll, type Cell } from './table.ts';
import { readTable, TABLES } from './tables.ts';
import { emojiNames, emojiPictures, mails, type LabelledSet } from './sets.ts';

const { values } = parseArgs({
  options: {
    episodes: { type: 'string' },
    sets: { type: 'string' },
    json: { type: 'boolean' },
    setfit: { type: 'boolean' },
    published: { type: 'boolean' },
    skip: { type: 'string' },
    minutes: { type: 'string' },
  },
});
const COUNT = Number(values.episodes ?? 50);
const SHOTS = [1, 2, 4, 8, 16, 32] as const;
const TEXTS: Record<string, () => LabelledSet> = {
  'names-category': () => emojiNames('category'),
  'names-subcategory': () => emojiNames('subcategory'),
  mails: () => mails(),
};
const SETS: Record<string, () => MeasuredSet> = {
  'emoji-twitter': () => withPictureNames(embedSet(emojiPictures('twitter'))),
  'emoji-google': () => withPictureNames(embedSet(emojiPictures('google'))),
  'emoji-apple': () => withPictureNames(embedSet(emojiPictures('apple'))),
  'emoji-facebook': () => withPictureNames(embedSet(emojiPictures('facebook'))),
  digits: () => withPictureNames(embedDigits()),
  ...Object.fromEntries(Object.keys(TABLES).map((name) => [name, (): MeasuredSet => readTable(name as keyof typeof TABLES)])),
  ...Object.fromEntries(Object.entries(TEXTS).map(([name, load]) => [name, (): MeasuredSet => embedSet(load())])),
};
const chosen = <T>(from: Readonly<Record<string, T>>): T[] =>
  (values.sets?.split(',') ?? Object.keys(from)).map((name) => {
    const found = from[name];
    if (found === undefined) throw new Error(`there is no set ${name}; there are ${Object.keys(from).join(', ')}`);
    return found;
  });
function summarise(outcomes: readonly Outcome[]): { accuracy: number[]; auroc: number | null; ece: number } {
  const known = outcomes.flatMap((o) => (o.auroc === null ? [] : [o.auroc]));
  const said: Said[] = outcomes.flatMap((o) => o.said);
  return { accuracy: outcomes.map((o) => o.accuracy), auroc: known.length > 0 ? mean(known) : null, ece: calibrationError(said) };
}

async function measureSet(set: MeasuredSet): Promise<Cell[]> {
  const background = backgroundOf(set.modality);
  const all = SHOTS.map((shots) => [shots, episodes(set, shots, COUNT)] as const).filter(([, list]) => list.length > 0);
  const peers = runPeers(set, all, values.published && set.modality !== 'vector' ? publishedDimension(set.modality) : undefined);
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
  if (values.setfit) {
    const sets = chosen(TEXTS).map((load) => load());
    const minutes = values.minutes === undefined ? null : Number(values.minutes);
    process.stdout.write(await besideSetFit(sets, { skip: Number(values.skip ?? 0), count: COUNT, minutes }));
  } else {
    const cells: Cell[] = [];
    for (const load of chosen(SETS)) cells.push(...(await measureSet(load())));
    process.stdout.write(values.json ? `${JSON.stringify(cells)}\n` : printAll(cells, COUNT));
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
