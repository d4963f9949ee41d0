/** The ways in which the examples alone can make a head; blend.ts says how much each is worth. */
import { KERNEL_POWER } from '../../shared/head.ts';
import type { Candidate } from './blend.ts';
import { transformFeature } from './features.ts';
import { foldsOf } from './folds.ts';
import { fitKernelRidge, kernelInPlace } from './kernel.ts';
import { fitAgainstBackground } from './only-named.ts';
import { takeRows, type RidgeFit, type RidgeInput } from './ridge-fit.ts';
import { fitRidgeLeaveOneOut } from './ridge.ts';
import { supportCosines } from './score-head.ts';
import type { LearnExample, SolveInput } from './solve-head.ts';
import type { Chosen } from './support.ts';
import { usualScale } from './usual-spread.ts';
import { fitWhitened, makeWhitener, WHITENED_ROWS_MAX, type Whitener } from './whitening.ts';

/** A kernel over landmarks asks for n × 512 similarities: beyond this many rows they cost more than they are worth. */
export const KERNEL_ROWS_MAX = 4_096;
/** What candidates count before there is evidence, where the first one counts 1: pictures that look like nothing the backbone knows are rare. */
const BESIDE = 0.2;
/** Classes that are told apart by how texts are written are less so (docs/decisions/0004). */
const SCALED = 0.5;

/**
 * Kernel ridge first. Beside it: ridge in the background's metric, for pictures that may look like nothing the backbone knows; ridge on values of equal
 * usual spread, for texts whose classes are told apart by how they are written; plain ridge where there are more examples than landmarks.
 */
export function candidatesFor(input: SolveInput, center: Float32Array, chosen: Chosen, judged: readonly number[], onlyNamed: boolean): Candidate[] {
  const n = input.examples.length;
  if (onlyNamed) {
    const against = fitAgainstBackground(input, center);
    return [{ name: 'ridge', space: 'linear', prior: 1, fit: { ...against, leftOut: takeRows(against.leftOut, judged, input.labels.length) } }];
  }
  const out: Candidate[] = [];
  const foldOf = foldsOf(input.examples);
  const all = chosen.ids.length === n;
  // Landmarks that are some of the examples speak for all classes only where left-out rows say so.
  if (all || (n <= KERNEL_ROWS_MAX && judged.length > 0))
    out.push({ name: 'kernel_ridge', space: 'kernel', prior: 1, fit: kernelFit(input, chosen, foldOf, judged) });
  if (!all)
    out.push({
      name: 'ridge',
      space: 'linear',
      prior: BESIDE,
      fit: fitRidgeLeaveOneOut(ridgeInput(input.examples, (e) => e.base, input, center, foldOf, judged)),
    });
  const whitener = input.task === 'single_label' && input.transform === 'sqrt_l2' && n <= WHITENED_ROWS_MAX ? whitenerOf(input, center) : null;
  if (whitener) {
    const rows = ridgeInput(input.examples, (e) => e.base, input, center, foldOf, judged);
    out.push({ name: 'whitened_ridge', space: 'linear', prior: BESIDE, fit: fitWhitened(rows, whitener) });
  }
  const scale = input.task === 'single_label' && input.transform === 'l2' && n <= WHITENED_ROWS_MAX ? usualScale(input, center) : null;
  if (scale) {
    const rows = ridgeInput(input.examples, (e) => e.base, input, center, foldOf, judged);
    out.push({ name: 'scaled_ridge', space: 'linear', prior: SCALED, fit: fitScaled(rows, scale) });
  }
  return out;
}

/** Ridge on features times `scale`; the weights apply to the features themselves. */
function fitScaled(input: RidgeInput, scale: Float64Array): RidgeFit {
  const { d } = input;
  const fit = fitRidgeLeaveOneOut({ ...input, x: input.x.map((v, at) => v * scale[at % d]!) });
  return { ...fit, weight: fit.weight.map((v, at) => v * scale[at % d]!) };
}

function kernelFit({ examples, labels }: SolveInput, { support, landmarks }: Chosen, foldOf: Int32Array, judged: readonly number[]): RidgeFit {
  const similarity = new Float64Array(examples.length * landmarks.m);
  for (const [i, { base }] of examples.entries())
    similarity.set(kernelInPlace(supportCosines({ support }, { base, tuned: null }), KERNEL_POWER), i * landmarks.m);
  return fitKernelRidge({ landmarks, similarity, labels: labels.length, labelsOf: examples.map((e) => e.labelsOf), foldOf, judged });
}

/** A background is the same array for as long as its owner keeps it, and its factor costs more than a small head. */
const whiteners = new WeakMap<readonly Float32Array[], Whitener | null>();

function whitenerOf(input: SolveInput, center: Float32Array): Whitener | null {
  const rows = input.background.base;
  const known = whiteners.get(rows);
  if (known !== undefined) return known;
  const d = input.dimension;
  const x = new Float64Array(rows.length * d);
  for (const [i, row] of rows.entries()) transformFeature(row, input.transform, center, x, i * d);
  const made = makeWhitener(x, rows.length, d);
  whiteners.set(rows, made);
  return made;
}

type Get = (e: LearnExample) => Float32Array;

/** Plain ridge on one of the embeddings. */
export function fitPlain(rows: readonly LearnExample[], get: Get, input: SolveInput, center: Float32Array, judged: readonly number[]): RidgeFit {
  return fitRidgeLeaveOneOut(ridgeInput(rows, get, input, center, foldsOf(rows), judged));
}

function ridgeInput(
  rows: readonly LearnExample[],
  get: Get,
  { transform, dimension: d, labels }: SolveInput,
  center: Float32Array,
  foldOf: Int32Array,
  judged: readonly number[],
): RidgeInput {
  const x = new Float64Array(rows.length * d);
  for (const [i, row] of rows.entries()) transformFeature(get(row), transform, center, x, i * d);
  return { x, n: rows.length, d, labels: labels.length, labelsOf: rows.map((r) => r.labelsOf), foldOf, judged };
}
