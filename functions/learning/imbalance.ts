/**
 * What a label gains by nothing but having more examples than others. Where examples are few against dimensions a head all but interpolates them, so that
 * weighing rows by class changes little: with four examples of one class and one of each of five others, nine answers in ten were that class, and
 * accuracy fell from 51 to 24 % (emoji keywords; docs/decisions/0004). The mean score that a label has on left-out examples of the other labels says how
 * loud it is by itself; less that of a head on as many examples of each label as of the rarest, it is what the surplus made. It is taken off, so a
 * balanced head stays as it is (compare the logit adjustment of Menon et al. 2021, whose prior is the share of rows).
 *
 * Of two labels one of which has a single example neither can be heard so: without that example a head knows but one label. There the surplus is what the
 * head says to a row that is as near to the rows of either label. Scores are Σ αᵢ(k(x, xᵢ) + 1) with the bias Σ αᵢ, so with k at its mean κ, which the
 * rows' own products tell, that is (1 + κ) times the bias.
 */
import type { RidgeFit } from './ridge-fit.ts';
import { balancedWeights, type Labelled } from './targets.ts';

/** Beyond this many rows a second solve of all of them costs more than it is worth: those that the head is judged by say how loud it is. */
const ROWS_MAX = 2_048;
/** So many rows of a label tell how near its rows are to each other and to another one's. */
const NEAR_MAX = 256;
/** Of so many rows at most is the balanced head beside it: where the rarest label has more of them, the others drown it no more. */
const EVEN_MAX = 512;

/**
 * @param input `judged`: the rows of `fit.leftOut`; all of them when absent
 * @param leftOutOf scores of some rows, each left out alone of a head on just these, row-major [rows × labels]
 * @param product of two rows as the head sees them: in units of its spread, without the constant feature
 */
export function withoutSurplus(
  input: Labelled & { readonly judged?: readonly number[] },
  fit: RidgeFit,
  leftOutOf: (rows: readonly number[]) => Float64Array,
  product: (i: number, j: number) => number,
): RidgeFit {
  const { labelsOf } = input;
  const counts = new Map<number, number>();
  for (const row of labelsOf) for (const c of row) counts.set(c, (counts.get(c) ?? 0) + 1);
  const [least, most] = [Math.min(...counts.values()), Math.max(...counts.values())];
  // Several labels of one row are no rivals, and none is no class.
  if (least === most || labelsOf.some((row) => row.length !== 1)) return fit;
  const all = [...labelsOf.keys()];
  const even = evenRows(input, least);
  const many = all.length > ROWS_MAX;
  if (even.length === 2) return withoutBias(input, fit, 1 + nearness(input, even, product));
  if (many && even.length > EVEN_MAX) return fit;
  const before = many ? loudness(input.judged ?? all, fit.leftOut, input) : loudness(all, leftOutOf(all), input);
  const after = loudness(even, leftOutOf(even), input);
  // A label that is judged by rows of its own alone was not heard on any other.
  const surplus = before.map((v, c) => (counts.has(c) && Number.isFinite(v) ? v - after[c]! : 0));
  return less(fit, surplus);
}

function less(fit: RidgeFit, surplus: ArrayLike<number>): RidgeFit {
  return { ...fit, bias: fit.bias.map((v, c) => v - surplus[c]!), leftOut: fit.leftOut.map((v, at) => v - surplus[at % surplus.length]!) };
}

/** Takes `times` the bias off the labels that have examples; how far they are from labels without any stays. */
function withoutBias({ labelsOf }: Labelled, fit: RidgeFit, times: number): RidgeFit {
  const shown = [...new Set(labelsOf.map((row) => row[0]!))];
  const middle = shown.reduce((sum, c) => sum + fit.bias[c]!, 0) / shown.length;
  return less(
    fit,
    fit.bias.map((v, c) => (shown.includes(c) ? times * (v - middle) : 0)),
  );
}

/** Mean product of a row with rows of its own label and with one of another, from the label that has more rows than one. `even`: a row of each. */
function nearness({ labelsOf }: Labelled, even: readonly number[], product: (i: number, j: number) => number): number {
  const rows = [...labelsOf.keys()];
  const single = even.find((i) => rows.every((j) => j === i || labelsOf[j]![0] !== labelsOf[i]![0]))!;
  const others = rows.filter((i) => i !== single);
  const step = Math.ceil(others.length / NEAR_MAX);
  const some = others.filter((_, at) => at % step === 0);
  let [own, across] = [0, 0];
  for (const [at, i] of some.entries()) {
    across += product(i, single) / some.length;
    for (const j of some.slice(0, at)) own += product(i, j) / ((some.length * (some.length - 1)) / 2);
  }
  return (own + across) / 2;
}

/** `least` rows of each label, those of the first folds, which are drawn by content. */
function evenRows({ labelsOf, foldOf }: Labelled, least: number): number[] {
  const seen = new Map<number, number>();
  const order = foldOf ? [...labelsOf.keys()].toSorted((a, b) => foldOf[a]! - foldOf[b]! || a - b) : [...labelsOf.keys()];
  const kept = order.filter((i) => {
    const c = labelsOf[i]![0]!;
    seen.set(c, (seen.get(c) ?? 0) + 1);
    return seen.get(c)! <= least;
  });
  return kept.toSorted((a, b) => a - b);
}

/** Mean score of each label on rows of the others, every other label counted the same; NaN where there are none. */
function loudness(rows: readonly number[], scores: Float64Array, { labelsOf, labels }: Labelled): Float64Array {
  const own = rows.map((i) => labelsOf[i]![0]!);
  const weight = balancedWeights(
    own.map((c) => [c]),
    labels,
  );
  const [sum, total] = [new Float64Array(labels), new Float64Array(labels)];
  for (const [r, label] of own.entries())
    for (let c = 0; c < labels; c++) {
      if (c === label) continue;
      sum[c]! += weight[r]! * scores[r * labels + c]!;
      total[c]! += weight[r]!;
    }
  return sum.map((v, c) => v / total[c]!);
}
