/**
 * `npm run bench:large [-- --seeds N --json]`: what training in the background adds on real embeddings. All emoji drawings of four styles in one set, with
 * the subcategory as the one label, and with subcategory and style as two. An emoji is learnt from or tested with in all its styles, never both.
 */
import { parseArgs } from 'node:util';
import { planLogistic, startLogistic, trainLogistic } from '../../../functions/learning/logistic.ts';
import { judgeLogistic, logisticComponent, refinedHead, scaledFeatures, scalingOf } from '../../../functions/learning/refine.ts';
import { backgroundCenter } from '../../../functions/learning/features.ts';
import { scoreHead } from '../../../functions/learning/score-head.ts';
import { drawRows, rowsWithinBudget } from '../../../functions/learning/solve-budget.ts';
import { solveHead, type LearnExample, type SolveInput } from '../../../functions/learning/solve-head.ts';
import { loadTensorflow, type Tensorflow } from '../../../functions/learning/tensorflow.ts';
import type { Head } from '../../../shared/head.ts';
import { ensureSetup } from '../../setup/main.ts';
import { backgroundOf, embedSet } from './embeddings.ts';
import { emojiPictures, STYLES } from './sets.ts';

const HELD_EVERY = 5;
const TEST_PART = 0.3;

type Row = LearnExample & { readonly emoji: string; readonly sha256: string };
type Result = {
  readonly task: SolveInput['task'];
  readonly seed: number;
  readonly examples: number;
  readonly labels: number;
  readonly solved_from: number;
  readonly share: number;
  readonly better: boolean;
  readonly instant: Measured;
  readonly refined: Measured;
};
/** Accuracy (of several labels: all of them right) and cross-entropy (a decision) on the test rows. */
type Measured = { readonly accuracy: number; readonly loss: number };

/** FNV-1a: where an emoji goes depends on its code and the seed alone. */
function digest(text: string): number {
  let hash = 0x811c9dc5;
  for (const c of text) hash = Math.imul(hash ^ (c.codePointAt(0) ?? 0), 0x01000193);
  return (Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) >>> 0) / 2 ** 32;
}

function rowsOf(task: SolveInput['task']): { rows: Row[]; labels: string[] } {
  const sets = STYLES.map((style) => ({ style, set: embedSet(emojiPictures(style)) }));
  const common = [...new Set(sets.flatMap(({ set }) => set.labels))].filter((label) => sets.every(({ set }) => set.labels.includes(label)));
  const labels = task === 'multi_label' ? [...common, ...STYLES] : common;
  const rows = sets.flatMap(({ style, set }) =>
    set.rows.flatMap((base, i) => {
      const label = common.indexOf(set.labels[set.y[i]!]!);
      if (label < 0) return [];
      const labelsOf = task === 'multi_label' ? [label, labels.indexOf(style)] : [label];
      const emoji = set.ids[i]!;
      return [{ id: `${style}-${emoji}`, emoji, sha256: String(digest(`${style}-${emoji}`)), labelsOf, base, tuned: null }];
    }),
  );
  return { rows: rows.toSorted((a, b) => (a.id < b.id ? -1 : 1)), labels };
}

function measure(head: Head, rows: readonly Row[]): Measured {
  let [right, loss] = [0, 0];
  for (const { base, labelsOf } of rows) {
    const { scores } = scoreHead({ ...head, openSet: null }, { base, tuned: null });
    const p = new Map(scores.map(({ label, score }) => [label, Math.min(Math.max(score, 1e-12), 1 - 1e-12)]));
    const own = labelsOf.map((c) => head.labels[c]!);
    if (head.task === 'single_label') {
      right += scores[0]!.label === own[0] ? 1 : 0;
      loss -= Math.log(p.get(own[0]!)!);
      continue;
    }
    right += scores.every(({ label, score }) => score >= 0.5 === own.includes(label)) ? 1 : 0;
    for (const [label, v] of p) loss -= Math.log(own.includes(label) ? v : 1 - v) / p.size;
  }
  return { accuracy: right / rows.length, loss: loss / rows.length };
}

function run(tf: Tensorflow, task: SolveInput['task'], seed: number): Result {
  const { rows, labels } = rowsOf(task);
  const isTest = (r: Row): boolean => digest(`${seed} test ${r.emoji}`) < TEST_PART;
  const [all, test] = [rows.filter((r) => !isTest(r)), rows.filter(isTest)];
  const order = all.toSorted((a, b) => digest(`${seed} ${a.sha256}`) - digest(`${seed} ${b.sha256}`));
  const [learnt, held] = [order.filter((_, i) => i % HELD_EVERY !== HELD_EVERY - 1), order.filter((_, i) => i % HELD_EVERY === HELD_EVERY - 1)];
  const dimension = rows[0]!.base.length;
  const background = backgroundOf('image');
  const inputOf = (examples: readonly Row[]): SolveInput => ({
    labels,
    task,
    transform: 'sqrt_l2',
    dimension,
    examples: drawRows(examples, rowsWithinBudget({ examples: examples.length, dimension, labels: labels.length, background: background.length })),
    names: labels.map(() => null),
    background: { base: background, tuned: [] },
    tunedMix: 0,
    trainedTemperature: null,
    falseRejectRate: 0.05,
  });
  const input = inputOf(learnt);
  const scaling = scalingOf(learnt, input, backgroundCenter(background, 'sqrt_l2', dimension));
  const plan = planLogistic({ seed, task, labels: labels.length, dimension, examples: learnt.length });
  const state = startLogistic(plan);
  const x = scaledFeatures(
    learnt.map((r) => r.base),
    input,
    scaling,
  );
  trainLogistic(tf, plan, state, { x, labelsOf: learnt.map((r) => r.labelsOf) }, plan.steps);
  const logistic = logisticComponent(state.values, input, scaling);
  const verdict = judgeLogistic(solveHead(input)!.head, logistic, held);
  if (!verdict) throw new Error('too few held-out rows');
  const whole = inputOf(all);
  const instant = solveHead(whole)!.head;
  return {
    task,
    seed,
    examples: all.length,
    labels: labels.length,
    solved_from: whole.examples.length,
    share: verdict.share,
    better: verdict.better,
    instant: measure(instant, test),
    refined: measure(verdict.better ? refinedHead(instant, logistic, verdict, background) : instant, test),
  };
}

const { values } = parseArgs({ options: { seeds: { type: 'string' }, json: { type: 'boolean' } } });
await ensureSetup();
const tf = await loadTensorflow();
for (const task of ['single_label', 'multi_label'] as const)
  for (let seed = 1; seed <= Number(values.seeds ?? 3); seed++) {
    const r = run(tf, task, seed);
    const of = ({ accuracy, loss }: Measured): string => `${(100 * accuracy).toFixed(1)} % (loss ${loss.toFixed(3)})`;
    const text = `${r.task}, seed ${seed}: ${r.examples} examples, ${r.labels} labels, solved from ${r.solved_from}; instant ${of(r.instant)}; ${r.better ? `refined, share ${r.share}` : 'not refined'}: ${of(r.refined)}`;
    process.stdout.write(`${values.json ? JSON.stringify(r) : text}\n`);
  }
