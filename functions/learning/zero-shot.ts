/**
 * Pictures by the names of their labels, without an example: the picture network knows a thousand classes, and a label is near some of them in words.
 *
 * ConSE (Norouzi et al. 2014) takes the mean of the class names' embeddings under the network's posterior and asks which label is nearest. That needs the
 * whole classifier for every prediction. Here the same two ingredients make one row of a linear head for each label instead:
 *   W_c = Σₖ a_ck Vₖ,   a_c = softmaxₖ(cos(t_c, nₖ) / τ)
 * for classifier rows Vₖ, class names nₖ and the label's text t_c (convex combination of semantic classifiers, after Norouzi et al. and Mensink et al. 2014,
 * COSTA). It costs a prediction nothing, can be exported, and was better than ConSE on two of three sets (docs/decisions/0009).
 */
import type { HeadComponent } from '../../shared/head.ts';
import { backgroundCenter, normaliseInPlace, transformFeature } from './features.ts';

/** What a published picture network knows by name. */
export type NamedClasses = {
  /** Row-major [classes × dimension], its classifier layer. */
  readonly weight: Float32Array;
  readonly dimension: number;
  /** One raw text embedding a class. */
  readonly names: readonly Float32Array[];
};

/** τ: narrower, and a label hangs on a few names that only sound like it; measured on drawings in two styles. */
const SHARPNESS = 0.1;
/**
 * One background deviation in a head's units. At the weight and temperature that hold without an example (4 and about ¼) it is a softmax temperature of
 * 1.5, the one at which zero-shot answers are about as confident as they are right (same measurement): far less sure than names of texts.
 */
const DEVIATION = 1 / 24;

/** W_c of the label with this text embedding, float32 [dimension]. Names and label are compared around the mean of the names. */
export function zeroShotRow(classes: NamedClasses, label: Float32Array): Float32Array {
  const center = backgroundCenter(classes.names, 'l2', label.length);
  const unit = (raw: Float32Array): Float64Array => {
    const x = transformFeature(raw, 'l2', center);
    normaliseInPlace(x);
    return x;
  };
  const t = unit(label);
  const likeness = classes.names.map((name) => unit(name).reduce((sum, v, i) => sum + v * t[i]!, 0));
  const most = Math.max(...likeness);
  const raw = likeness.map((s) => Math.exp((s - most) / SHARPNESS));
  const total = raw.reduce((a, b) => a + b, 0);
  const row = new Float64Array(classes.dimension);
  for (const [k, a] of raw.entries()) {
    const share = a / total;
    for (let j = 0; j < row.length; j++) row[j]! += share * classes.weight[k * row.length + j]!;
  }
  return Float32Array.from(row);
}

/**
 * The rows as a component of a head: scores of each label have mean 0 and the same deviation over the background, so that no label is loud by itself.
 * Labels without a row, and all of them without a background, score 0.
 */
export function zeroShotComponent(
  rows: readonly (Float32Array | null)[],
  background: readonly Float32Array[],
  dimension: number,
  mix: number,
): HeadComponent {
  const center = backgroundCenter(background, 'l2', dimension);
  const features = background.map((b) => transformFeature(b, 'l2', center));
  const weight = new Float32Array(rows.length * dimension);
  for (const [c, row] of rows.entries()) {
    if (!row) continue;
    if (row.length !== dimension) throw new RangeError(`a zero-shot row has ${row.length} values, expected ${dimension}`);
    let squares = 0;
    for (const x of features) squares += dot(row, x) ** 2;
    if (squares === 0) continue;
    const scale = DEVIATION / Math.sqrt(squares / features.length);
    for (let j = 0; j < dimension; j++) weight[c * dimension + j] = row[j]! * scale;
  }
  return { embedding: 'base', name: 'zero_shot', transform: 'l2', dimension, kernel: null, center, weight, bias: new Float32Array(rows.length), mix };
}

function dot(a: Float32Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < b.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
