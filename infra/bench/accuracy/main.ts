/**
 * `npm run bench:accuracy [-- --episodes 50 --sets digits,mails --json]`: the shipped head code against what a user would pick instead, on real
 * embeddings, the same seeded episodes, in the same run. Prints means with 95 % intervals, AUROC for unknowns and the calibration error.
 * `-- --published` gives the peers what the published networks give, without what Graft reads from their trunks.
 * `-- --data FOLDER,FILE.jsonl` measures data of your own instead: pictures in folders by label, or lines of {"text", "label"}.
 * `-- --setfit [--episodes 16 --skip 0 --minutes 25]` measures text sets at 8 shots beside SetFit, which fine-tunes the backbone in every episode.
 */
import { parseArgs } from 'node:util';
import { progressBar } from '../../progress.ts';
import { ensureSetup } from '../../setup/main.ts';
import { backgroundOf, embedDigits, embedSet, publishedDimension, type MeasuredSet } from './embeddings.ts';
import { episodes } from './episodes.ts';
import { givenSet } from './given.ts';
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
    data: { type: 'string' },
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
  'emoji-twitter': () => prepared(emojiPictures('twitter')),
  'emoji-google': () => prepared(emojiPictures('google')),
  'emoji-apple': () => prepared(emojiPictures('apple')),
  'emoji-facebook': () => prepared(emojiPictures('facebook')),
  digits: () => withPictureNames(embedDigits()),
  ...Object.fromEntries(Object.keys(TABLES).map((name) => [name, (): MeasuredSet => readTable(name as keyof typeof TABLES)])),
  ...Object.fromEntries(Object.entries(TEXTS).map(([name, load]) => [name, (): MeasuredSet => prepared(load())])),
};
const given = values.data?.split(',').map((path) => (): LabelledSet => givenSet(path));
const prepared = (set: LabelledSet): MeasuredSet => (set.modality === 'image' ? withPictureNames(embedSet(set)) : embedSet(set));
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
    const sets = (given ?? chosen(TEXTS)).map((load) => load());
    if (sets.some((set) => set.modality !== 'text')) throw new Error('--setfit: SetFit is for texts only');
    const minutes = values.minutes === undefined ? null : Number(values.minutes);
    process.stdout.write(await besideSetFit(sets, { skip: Number(values.skip ?? 0), count: COUNT, minutes }));
  } else {
    const cells: Cell[] = [];
    const sets = given ? given.map((read) => () => prepared(read())) : chosen(SETS);
    for (const load of sets) cells.push(...(await measureSet(load())));
    process.stdout.write(values.json ? `${JSON.stringify(cells)}\n` : printAll(cells, COUNT));
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
