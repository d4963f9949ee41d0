/**
 * `npm run bench:zero-shot [-- --episodes 50 --sets emoji-google --data FOLDER --shots 0,8]`: pictures by the names of their labels, before the first example and beside examples as
 * they arrive, by the shipped code; with names, without, and with each label called like the next. ConSE (Norouzi et al. 2014), the method that this
 * one stands in for, over the same classes, names and episodes.
 */
import { parseArgs } from 'node:util';
import { backgroundCenter, unitFeature } from '../../../functions/learning/features.ts';
import { dot } from '../../../functions/learning/linear-algebra.ts';
import type { NamedClasses } from '../../../functions/learning/zero-shot.ts';
import { ensureSetup } from '../../setup/main.ts';
import { backgroundOf, embedDigits, embedSet, type EmbeddedSet } from './embeddings.ts';
import { episodes, type Episode } from './episodes.ts';
import { givenSet } from './given.ts';
import { calibrationError, mean } from './measures.ts';
import { runOurs, type Names, type Outcome } from './ours.ts';
import { nameWords, namedClasses, withPictureNames } from './picture-names.ts';
import { STYLES, emojiPictures } from './sets.ts';
import { figure, table } from './table.ts';

const { values } = parseArgs({
  options: { episodes: { type: 'string' }, sets: { type: 'string' }, data: { type: 'string' }, shots: { type: 'string' } },
});
const COUNT = Number(values.episodes ?? 50);
const SHOTS = (values.shots ?? '0,1,2,4,8').split(',').map(Number);
const LIKELIEST = 10;
const SETS: Record<string, () => EmbeddedSet> = {
  ...Object.fromEntries(STYLES.map((style) => [`emoji-${style}`, () => embedSet(emojiPictures(style))])),
  digits: embedDigits,
};
const given = values.data?.split(',').map((path) => [path, (): EmbeddedSet => embedSet(givenSet(path))] as const);
const chosen = given ?? (values.sets ?? Object.keys(SETS).join(',')).split(',').map((name) => [name, SETS[name]] as const);

/** ConSE's answer: the label nearest to the mean of the names of the ten likeliest classes, weighed by the network's posterior. */
function conse(classes: NamedClasses, words: readonly Float32Array[]): (row: Float32Array, among: readonly number[]) => number {
  const center = backgroundCenter(classes.names, 'l2', words[0]!.length);
  const unit = (raw: Float32Array): Float64Array => unitFeature(raw, 'l2', center);
  const [names, labels, weight] = [classes.names.map(unit), words.map(unit), Float64Array.from(classes.weight)];
  return (row, among) => {
    const x = Float64Array.from(row);
    const logits = names.map((_, k) => dot(weight, k * x.length, x, 0, x.length));
    const top = [...logits.keys()].toSorted((a, b) => logits[b]! - logits[a]!).slice(0, LIKELIEST);
    const middle = new Float64Array(center.length);
    for (const k of top) for (let j = 0; j < middle.length; j++) middle[j]! += Math.exp(logits[k]! - logits[top[0]!]!) * names[k]![j]!;
    const likeness = among.map((c) => dot(labels[c]!, 0, middle, 0, middle.length));
    return likeness.indexOf(Math.max(...likeness));
  };
}

const answered = (set: EmbeddedSet, { classes, query, queryY }: Episode, answer: ReturnType<typeof conse>): number =>
  (100 * query.filter((row, i) => answer(set.rows[row]!, classes) === queryY[i]).length) / query.length;

await ensureSetup();
const classes = namedClasses();
const background = backgroundOf('image');
const rows: string[][] = [
  ['set, examples a label', 'without names', 'with names', 'shuffled', 'ConSE', 'confidence', 'ECE', 'AUROC without', 'with'],
];
for (const [name, open] of chosen) {
  const embedded = open?.();
  if (!embedded) throw new Error(`no set is called ${name}: ${Object.keys(SETS).join(', ')}`);
  const set = withPictureNames(embedded);
  const peer = conse(classes, nameWords(embedded));
  for (const shots of SHOTS) {
    const drawn = episodes(set, shots, COUNT);
    const ours = (names: Names): Outcome[] => drawn.map((episode) => runOurs(set, background, episode, names));
    const told = (all: readonly Outcome[]): string => mean(all.map((one) => one.auroc ?? Number.NaN)).toFixed(3);
    const accuracies = (all: readonly Outcome[]): string => figure(all.map((one) => one.accuracy));
    const [plain, named] = [shots === 0 ? null : ours('none'), ours('true')];
    const said = named.flatMap((one) => one.said);
    rows.push([
      `${name} ${shots}`,
      plain ? accuracies(plain) : '–',
      accuracies(named),
      accuracies(ours('shuffled')),
      shots === 0 ? figure(drawn.map((episode) => answered(set, episode, peer))) : '–',
      mean(said.map((one) => one.confidence)).toFixed(3),
      calibrationError(said).toFixed(3),
      plain ? told(plain) : '–',
      told(named),
    ]);
  }
}
process.stdout.write(`${COUNT} episodes; accuracy in % with the 95 % interval of the mean\n${table(rows)}\n`);
