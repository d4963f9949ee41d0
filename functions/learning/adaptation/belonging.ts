/**
 * Whether target inputs are of the classifier's own classes, told without a label of them. A domain moves and stretches its classes; once that is taken
 * out, inputs of the same classes lie about as near to examples as to one another, and are answered with a margin. Inputs of other classes have
 * groups of their own, which lie between the examples. What a margin comes to by itself hangs on the number of labels and of examples of each
 * (compare the open-set adaptation of Saito et al. 2018, which learns that boundary with a network).
 */
import { normaliseInPlace } from '../features.ts';
import { PRIOR_LAMBDA } from '../penalty.ts';
import { fitRidgeLeaveOneOut } from '../ridge.ts';
import { evenly, pickRows, type Rows } from './align.ts';

export type Belonging = {
  /** Similarity to the nearest example ÷ similarity to the nearest other target input, means over the target, among equally many of both. */
  readonly reach: number;
  /** Mean of best less second-best score, of a ridge on ±1, and the same without alignment. */
  readonly margin: number;
  readonly margin_before: number;
  /** Log odds that they are of its classes. */
  readonly log_odds: number;
};

/** Similarities are looked up among at most so many rows: n·m·d. */
const ROWS_MAX = 256;
/** Logistic regression on targets of the same and of other classes, 2 to 12 of them at 1 to 10 examples; how well it does elsewhere: docs/decisions/0005. */
const WEIGHTS = { reach: 4.6, margin: 6.57, labels: 1.95, each: -1.96, bias: 4.45 } as const;
/** Without groups among the target inputs the reach is a quotient of noise. */
const REACH_MAX = 1.2;
const MARGIN_MIN = 0.02;
/** More examples of each make margins larger than was measured, which speaks for the target. */
const EACH_MAX = 10;

/**
 * @param source examples without their mean, `target` without its own and `unmoved` without that of the examples
 * @param labelOf of the examples, of `k` labels
 */
export function belongingOf(source: Rows, labelOf: readonly number[], target: Rows, unmoved: Rows, k: number): Belonging {
  const reach = reachOf(source, target);
  const ridge = steadyRidge(source, labelOf, k);
  const [margin, before] = [target, unmoved].map((rows) => meanMargin(ridge(rows), k)) as [number, number];
  const labels = new Set(labelOf).size;
  const each = Math.min(EACH_MAX, source.n / labels);
  const log_odds =
    WEIGHTS.reach * reach +
    WEIGHTS.margin * Math.log(Math.max(MARGIN_MIN, margin)) +
    WEIGHTS.labels * Math.log(labels) +
    WEIGHTS.each * Math.log(each) +
    WEIGHTS.bias;
  return { reach, margin, margin_before: before, log_odds };
}

/** Scores of a ridge at one penalty: margins of heads whose penalties were chosen, each by its own rows, are not comparable. */
export function steadyRidge(all: Rows, labelsOf: readonly number[], k: number): (rows: Rows) => Float64Array {
  const used = evenly([...Array(all.n).keys()], ROWS_MAX);
  const { x, n, d } = pickRows(all, used);
  const { weight, bias } = fitRidgeLeaveOneOut({ x, n, d, labels: k, labelsOf: used.map((i) => [labelsOf[i]!]) }, [PRIOR_LAMBDA]);
  return (rows) => {
    const out = new Float64Array(rows.n * k);
    for (let i = 0; i < rows.n; i++)
      for (let c = 0; c < k; c++) {
        let sum = bias[c]!;
        for (let j = 0; j < d; j++) sum += weight[c * d + j]! * rows.x[i * d + j]!;
        out[i * k + c] = sum;
      }
    return out;
  };
}

/** Mean over rows of [rows × k] of the best less the second best; 0 with one label. */
export function meanMargin(scores: Float64Array, k: number): number {
  if (k < 2 || scores.length === 0) return 0;
  let sum = 0;
  for (let at = 0; at < scores.length; at += k) {
    let [best, second] = [-Infinity, -Infinity];
    for (let c = 0; c < k; c++) {
      const s = scores[at + c]!;
      if (s > best) [best, second] = [s, best];
      else if (s > second) second = s;
    }
    sum += best - second;
  }
  return sum / (scores.length / k);
}

function reachOf(source: Rows, target: Rows): number {
  const rows = Math.min(source.n, target.n - 1, ROWS_MAX);
  const [mine, theirs] = [evenly([...Array(source.n).keys()], rows), evenly([...Array(target.n).keys()], rows + 1)];
  const [from, to, all] = [units(pickRows(source, mine)), units(pickRows(target, theirs)), units(target)];
  let [near, own] = [0, 0];
  for (let t = 0; t < target.n; t++) {
    near += nearest(all, t, from, -1);
    own += nearest(all, t, to, theirs.indexOf(t));
  }
  return own > 0 ? Math.min(REACH_MAX, Math.max(0, near / own)) : 1;
}

function nearest(all: Rows, t: number, among: Rows, not: number): number {
  let best = -Infinity;
  for (let r = 0; r < among.n; r++) {
    if (r === not) continue;
    let dot = 0;
    for (let j = 0; j < all.d; j++) dot += all.x[t * all.d + j]! * among.x[r * all.d + j]!;
    best = Math.max(best, dot);
  }
  return best;
}

function units({ x, n, d }: Rows): Rows {
  const out = x.slice();
  for (let i = 0; i < n; i++) normaliseInPlace(out, i * d, d);
  return { x: out, n, d };
}
