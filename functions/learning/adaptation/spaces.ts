/**
 * What the heads of a view are linear in. On the shared backbone's embedding it is the kernel of the plain head, with the enrolled examples as the target
 * would have shown them for landmarks: on drawings that gains three points over heads on the features (docs/decisions/0005). On a tail's embedding it is
 * the features themselves, as for the plain head.
 */
import { KERNEL_POWER, type HeadComponent } from '../../../shared/head.ts';
import { normaliseInPlace } from '../features.ts';
import { foldsOf } from '../folds.ts';
import { fitKernelRidge, kernelInPlace, landmarksOf, type Landmarks } from '../kernel.ts';
import type { RidgeFit } from '../ridge-fit.ts';
import { fitRidgeLeaveOneOut } from '../ridge.ts';
import type { SolveInput } from '../solve-head.ts';
import { supportIds } from '../support.ts';
import type { Rows } from './align.ts';
import type { View } from './views.ts';

export type Space = {
  /** The examples as the target would have shown them, and their ids; null where heads are linear in the features. */
  readonly moved: { readonly landmarks: Landmarks; readonly ids: readonly string[] } | null;
  readonly kernel: HeadComponent['kernel'];
  /** Of each row, [n × width]. */
  seen(rows: Rows): { readonly x: Float64Array; readonly width: number };
  /** @param lambdas to choose from by what is left out; the usual ones when absent */
  fit(rows: Rows, labelsOf: readonly (readonly number[])[], foldOf: Int32Array, lambdas?: readonly number[]): RidgeFit;
};

const FEATURES: Omit<Space, 'fit'> = { moved: null, kernel: null, seen: ({ x, d }) => ({ x, width: d }) };

/** @param mapped the view's examples as the target would have shown them */
export function spaceOf(input: SolveInput, view: View, mapped: Rows, k: number): Space {
  const { d } = mapped;
  if (view.embedding === 'tuned')
    return {
      ...FEATURES,
      fit: ({ x, n }, labelsOf, foldOf, lambdas) => fitRidgeLeaveOneOut({ x, n, d, labels: k, labelsOf, foldOf }, lambdas),
    };
  const place = new Map(view.rows.map((i, row) => [input.examples[i]!.id, row]));
  const ids = supportIds(input.examples);
  const m = ids.length;
  const rows = new Float32Array(m * d);
  for (const [to, id] of ids.entries()) {
    const row = mapped.x.slice(place.get(id)! * d, (place.get(id)! + 1) * d);
    normaliseInPlace(row);
    rows.set(row, to * d);
  }
  const landmarks = landmarksOf(rows, m, d);
  const seen = (of: Rows): { x: Float64Array; width: number } => ({ x: similarities(of, landmarks), width: m });
  return {
    moved: { landmarks, ids },
    kernel: { power: KERNEL_POWER },
    seen,
    fit: (of, labelsOf, foldOf, lambdas) => {
      const judged = [...labelsOf.keys()];
      return fitKernelRidge({ landmarks, similarity: seen(of).x, labels: k, labelsOf, foldOf, judged }, lambdas);
    },
  };
}

/** κ of each row to each landmark, [n × m]. */
function similarities({ x, n, d }: Rows, { rows, m }: Landmarks): Float64Array {
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++) {
    const row = x.slice(i * d, (i + 1) * d);
    normaliseInPlace(row);
    for (let r = 0; r < m; r++) {
      let sum = 0;
      for (let j = 0, at = r * d; j < d; j++, at++) sum += row[j]! * rows[at]!;
      out[i * m + r] = sum;
    }
  }
  return kernelInPlace(out, KERNEL_POWER);
}

/** Folds of the view's examples, and one of its own for each of `more` rows whose labels are guesses. */
export function foldsWith(input: SolveInput, view: View, more = 0): Int32Array {
  const own = foldsOf(view.rows.map((i) => input.examples[i]!));
  const from = own.reduce((a, b) => Math.max(a, b), 0) + 1;
  return Int32Array.from({ length: own.length + more }, (_, i) => own[i] ?? from + i);
}
