/** How a raw embedding becomes the feature of a linear head. */
import type { FeatureTransform, Standardisation } from '../../shared/head.ts';

/**
 * φ(x) = x/‖x‖ (`l2`) or √max(x,0) / ‖√max(x,0)‖ (`sqrt_l2`: the Hellinger map for ReLU outputs, Arandjelović & Zisserman 2012, RootSIFT), minus `center`.
 * A zero vector stays zero. Throws RangeError on NaN, infinity or a wrong length.
 * @param out written from `at` on when given
 */
export function transformFeature(
  raw: ArrayLike<number>,
  transform: FeatureTransform,
  center: ArrayLike<number> | null,
  out = new Float64Array(raw.length),
  at = 0,
): Float64Array {
  const d = raw.length;
  if (center && center.length !== d) throw new RangeError(`the embedding has ${d} values, expected ${center.length}`);
  let norm = 0;
  for (let i = 0; i < d; i++) {
    const value = raw[i]!;
    if (!Number.isFinite(value)) throw new RangeError(`value ${i} of the embedding is ${value}`);
    const v = transform === 'sqrt_l2' ? Math.sqrt(Math.max(value, 0)) : value;
    out[at + i] = v;
    norm += v * v;
  }
  const scale = norm > 0 ? 1 / Math.sqrt(norm) : 0;
  for (let i = 0; i < d; i++) out[at + i] = out[at + i]! * scale - (center ? center[i]! : 0);
  return out;
}

const FLOAT_MAX = 3.4e38;

/**
 * ((x − mean) · scale, constant), as far as a float reaches. Throws RangeError on a wrong length; what is not finite stays so and is refused by
 * `transformFeature`.
 */
export function standardise({ mean, scale, constant }: Standardisation, raw: ArrayLike<number>): Float32Array {
  const d = mean.length;
  if (raw.length !== d) throw new RangeError(`the embedding has ${raw.length} values, expected ${d}`);
  const out = new Float32Array(d + 1);
  for (let i = 0; i < d; i++) {
    const value = (raw[i]! - mean[i]!) * scale[i]!;
    out[i] = Math.abs(value) > FLOAT_MAX && Number.isFinite(value) ? Math.sign(value) * FLOAT_MAX : value;
  }
  out[d] = constant;
  return out;
}

/** Divides by the Euclidean norm in place; a zero vector stays zero. */
export function normaliseInPlace(x: Float64Array | Float32Array, at = 0, length = x.length): void {
  let norm = 0;
  for (let i = at; i < at + length; i++) norm += x[i]! * x[i]!;
  if (norm === 0) return;
  const scale = 1 / Math.sqrt(norm);
  for (let i = at; i < at + length; i++) x[i]! *= scale;
}

/** Index of the largest value; the first of equals. */
export function argmax(values: ArrayLike<number>): number {
  const { length } = values;
  let best = 0;
  let most = values[0]!;
  for (let i = 1; i < length; i++) {
    const value = values[i]!;
    if (value > most) [most, best] = [value, i];
  }
  return best;
}

/** Mean of transformed background rows: the centre that makes cosine similarities mean something in a narrow cone. */
export function backgroundCenter(rows: readonly Float32Array[], transform: FeatureTransform, dimension: number): Float32Array {
  const sum = new Float64Array(dimension);
  for (const row of rows) {
    const f = transformFeature(row, transform, null);
    for (let i = 0; i < dimension; i++) sum[i]! += f[i]!;
  }
  return Float32Array.from(sum, (v) => (rows.length > 0 ? v / rows.length : 0));
}

/** Unit, centred copy of one raw embedding, to be compared by cosines. */
export function unitFeature(raw: Float32Array, transform: FeatureTransform, center: Float32Array | null): Float64Array {
  const x = transformFeature(raw, transform, center);
  normaliseInPlace(x);
  return x;
}
