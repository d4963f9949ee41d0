/**
 * Pictures by the names of their labels, without an example: the picture network knows a thousand classes, and a label is near some of them in words.
 *
 * ConSE (Norouzi et al. 2014) takes the mean of the class names' embeddings under the network's posterior and asks which label is nearest. That needs the
 * whole classifier for every prediction. Here the same two ingredients make one row of a linear head for each label instead:
 *   W_c = Σₖ a_ck Vₖ,   a_c = softmaxₖ(cos(t_c, nₖ) / τ)
 * for classifier rows Vₖ, class names nₖ and the label's text t_c (convex combination of semantic classifiers, after Norouzi et al. and Mensink et al. 2014,
 * COSTA). It costs a prediction nothing, can be exported, and is better than ConSE on four sets of drawings (docs/decisions/0009).
 */
import type { FeatureTransform, HeadComponent } from '../../shared/head.ts';
import { backgroundCenter, normaliseInPlace, transformFeature, unitFeature } from './features.ts';
import { dotRows } from './dot-rows.ts';
import { dot } from './linear-algebra.ts';

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
 * 1.5: zero-shot answers are a little less confident than they are right, far less sure than names of texts. At 1.25 they would be as confident, but
 * then names outshout a first example.
 */
const DEVIATION = 1 / 24;

/** W_c of the labels with these text embeddings, float32 [dimension] each. Names and labels are compared around the mean of the names. */
export function zeroShotRows(classes: NamedClasses, labels: readonly Float32Array[]): Float32Array[] {
  const { weight, dimension } = classes;
  const center = backgroundCenter(classes.names, 'l2', classes.names[0]?.length ?? 0);
  const names = classes.names.map((name) => unitFeature(name, 'l2', center));
  return labels.map((label) => {
    const t = unitFeature(label, 'l2', center);
    const likeness = names.map((name) => dot(name, 0, t, 0, t.length));
    const most = Math.max(...likeness);
    const raw = likeness.map((s) => Math.exp((s - most) / SHARPNESS));
    const total = raw.reduce((a, b) => a + b, 0);
    const row = new Float64Array(dimension);
    for (const [k, a] of raw.entries()) for (let j = 0; j < dimension; j++) row[j]! += (a / total) * weight[k * dimension + j]!;
    return Float32Array.from(row);
  });
}

/**
 * The rows as a component of a head: unit rows, so that no label is loud by itself, around the background and as loud as DEVIATION says over all labels.
 * Labels without a row, and all of them without a background, score 0. (Each label on its own deviation over the background tells drawings apart
 * less: what the background shows much of would be heard less.)
 * @param center of the background, as for the other components of the head
 */
export function zeroShotComponent(
  rows: readonly (Float32Array | null)[],
  background: readonly Float32Array[],
  center: Float32Array,
  transform: FeatureTransform,
  mix: number,
): HeadComponent {
  const dimension = center.length;
  const features = background.map((b) => transformFeature(b, transform, center));
  const weight = new Float32Array(rows.length * dimension);
  let squares = 0;
  for (const [c, row] of rows.entries()) {
    if (!row) continue;
    if (row.length !== dimension) throw new RangeError(`a zero-shot row has ${row.length} values, expected ${dimension}`);
    const unit = Float64Array.from(row);
    normaliseInPlace(unit);
    weight.set(unit, c * dimension);
  }
  const said = new Float64Array(rows.length);
  for (const x of features) for (const s of dotRows(weight, x, rows.length, said)) squares += s * s;
  const spread = Math.sqrt(squares / (features.length * rows.filter((row) => row !== null).length));
  const scale = spread > 0 ? DEVIATION / spread : 0;
  return {
    embedding: 'base',
    name: 'zero_shot',
    transform,
    dimension,
    kernel: null,
    center,
    weight: weight.map((w) => w * scale),
    bias: new Float32Array(rows.length),
    mix,
  };
}
