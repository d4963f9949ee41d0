/** How learning grows: from an example's embedding to a head that can be served, and what a held head weighs. */
import { seededRandom } from '../../shared/statistics.ts';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { decodeHead, encodeHead } from '../../shared/head-file.ts';
import type { Head } from '../../shared/head.ts';
import { VECTOR_MAX_DIMENSION } from '../../shared/limits.ts';
import { SLICE_COST, startLogistic, stepCost, trainLogistic, type LogisticPlan } from '../../functions/learning/logistic.ts';
import { scaledFeatures, scalingOf } from '../../functions/learning/refine.ts';
import { rowsWithinBudget } from '../../functions/learning/solve-budget.ts';
import { solveHead, type SolveInput } from '../../functions/learning/solve-head.ts';
import { loadTensorflow } from '../../functions/learning/tensorflow.ts';
import { spread, timed, type Spread } from './measure.ts';

/** The shipped text network's. */
const DIMENSION = 768;
const BACKGROUND = 500;
const HELD = 50;

export type Growth = {
  readonly examples: number;
  readonly classes: number;
  /** solveHead, then the head as the file that isolates read, then that file as a head. */
  readonly solve: Spread;
  readonly file: Spread;
  readonly file_bytes: number;
  /** Its time against the row before; null for the first. */
  readonly growth: number | null;
};
export type Resident = { readonly classes: number; readonly examples: number; readonly array_bytes: number; readonly measured_bytes: number };

/** A sum of uniforms: near enough to a normal for directions. */
const direction = (next: () => number, dimension: number): Float32Array =>
  Float32Array.from({ length: dimension }, () => next() + next() + next() - 1.5);

/** Classes are clouds around centres as far apart as real ones: some examples are on the wrong side. */
function inputOf(examples: number, classes: number, dimension = DIMENSION): SolveInput {
  const next = seededRandom(examples * 31 + classes);
  const centres = Array.from({ length: classes }, () => direction(next, dimension));
  const rows = Array.from({ length: examples }, (_, i) => {
    const noise = direction(next, dimension);
    return { id: String(i), labelsOf: [i % classes], base: centres[i % classes]!.map((v, j) => 0.4 * v + noise[j]!), tuned: null };
  });
  return {
    labels: Array.from({ length: classes }, (_, c) => `label ${c}`),
    task: 'single_label',
    transform: 'l2',
    dimension,
    examples: rows,
    names: Array.from({ length: classes }, () => null),
    background: { base: Array.from({ length: BACKGROUND }, () => direction(next, dimension)), tuned: [] },
    tunedMix: 0,
    trainedTemperature: null,
    falseRejectRate: 0.05,
  };
}

function solved(input: SolveInput): Head {
  const found = solveHead(input);
  if (!found) throw new Error('examples always give a head');
  return found.head;
}

async function grow(examples: number, classes: number, repeats: number, before: Growth | undefined): Promise<Growth> {
  const [solve, file]: [number[], number[]] = [[], []];
  const input = inputOf(examples, classes);
  let bytes = 0;
  for (let i = 0; i < repeats; i++) {
    let head: Head | null = null;
    solve.push(await timed(async () => (head = solved(input))));
    file.push(
      await timed(async () => {
        const encoded = encodeHead(head!);
        bytes = encoded.byteLength;
        return decodeHead(encoded);
      }),
    );
  }
  const [a, b] = [spread(solve), spread(file)];
  return { examples, classes, solve: a, file: b, file_bytes: bytes, growth: before ? (a.p50 + b.p50) / (before.solve.p50 + before.file.p50) : null };
}

/** Examples grow at ten classes, then classes at one number of examples. */
export async function measureGrowth(quick: boolean): Promise<{ examples: Growth[]; classes: Growth[] }> {
  const examples: Growth[] = [];
  for (const n of quick ? [10, 100, 1_000] : [10, 100, 1_000, 10_000]) examples.push(await grow(n, 10, n > 1_000 ? 1 : 3, examples.at(-1)));
  const classes: Growth[] = [];
  for (const k of quick ? [10, 100] : [10, 100, 1_000]) classes.push(await grow(2_000, k, 1, classes.at(-1)));
  return { examples, classes };
}

export type Large = {
  readonly examples: number;
  readonly dimension: number;
  /** How many of them the budget of an instant solve pays for. */
  readonly solved_from: number;
  readonly solve_cpu_seconds: number;
  /** One slice of the training in the background. */
  readonly slice_cpu_seconds: number;
};

const LARGE = 10_000;
const CLASSES = 10;
/** Rows that a slice trains on here: how many there are does not change what a step costs. */
const SLICE_ROWS = 512;

/** CPU, not wall-clock: it is CPU that a Durable Object has a limit of. */
async function cpuSeconds(work: () => unknown): Promise<number> {
  const began = process.cpuUsage().user;
  await work();
  return (process.cpuUsage().user - began) / 1e6;
}

/** Sets that no instant solve could read whole, at the lengths of both shipped networks and at the longest that callers may bring. */
export async function measureLarge(): Promise<Large[]> {
  const tf = await loadTensorflow();
  const results: Large[] = [];
  for (const dimension of [768, 1_472, VECTOR_MAX_DIMENSION]) {
    const rows = rowsWithinBudget({ examples: LARGE, dimension, labels: CLASSES, background: BACKGROUND });
    const input = inputOf(rows, CLASSES, dimension);
    const solve = await cpuSeconds(() => solved(input));
    const plan: LogisticPlan = { seed: 1, steps: 1e6, task: 'single_label', labels: CLASSES, dimension, examples: LARGE };
    const some = input.examples.slice(0, SLICE_ROWS);
    const scaling = scalingOf(some, input, new Float32Array(dimension));
    const x = scaledFeatures(
      some.map((e) => e.base),
      input,
      scaling,
    );
    const steps = Math.max(1, Math.floor(SLICE_COST / stepCost(plan)));
    const slice = await cpuSeconds(() => trainLogistic(tf, plan, startLogistic(plan), { x, labelsOf: some.map((e) => e.labelsOf) }, steps));
    results.push({ examples: LARGE, dimension, solved_from: rows, solve_cpu_seconds: solve, slice_cpu_seconds: slice });
  }
  return results;
}

function arrayBytes(head: Head): number {
  const parts = head.components.flatMap((k) => [k.weight, k.bias, k.center]);
  const support = head.support ? [head.support.rows, head.support.center, head.support.labelOf] : [];
  const basis = head.support?.basis ? [head.support.basis] : [];
  return [...parts, ...support, ...basis].reduce((sum, part) => sum + part.byteLength, 0);
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Twice: the first collection frees the objects, the second what only they held. */
const inUse = (): number => {
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

/** Fifty heads as an isolate holds them, decoded from their file; the process's heap and buffers before and after. */
export function measureResident(): Resident[] {
  return [
    { classes: 10, examples: 100 },
    { classes: 100, examples: 1_000 },
  ].map(({ classes, examples }) => {
    const file = encodeHead(solved(inputOf(examples, classes)));
    const before = inUse();
    const held = Array.from({ length: HELD }, () => decodeHead(Uint8Array.from(file)));
    const measured = (inUse() - before) / held.length;
    return { classes, examples, array_bytes: arrayBytes(held[0]!), measured_bytes: Math.round(measured) };
  });
}
