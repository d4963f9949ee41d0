/** Arrays whose values lie in a RowMemory, and what its kernel can do with them there. Everything else is done by the plain loops. */
import type { FeatureTransform } from '../../shared/head.ts';

/** A feature vector and ‖x‖². */
export type Feature = { readonly x: Float64Array | Float32Array; readonly squares: number };
export type Place = {
  /** The array as a centre: features of a raw embedding, good until the next ones are asked for; null: not by the kernel. */
  features(raw: Float32Array, transform: FeatureTransform): Feature | null;
  /** The array as rows: their products with x, to single precision; false: not by the kernel. */
  multiply(x: Float64Array | Float32Array, rows: number, out: Float64Array): boolean;
};

const places = new WeakMap<Float32Array, Place>();

export const placeOf = (values: Float32Array): Place | undefined => places.get(values);

export function setPlace(values: Float32Array, place: Place): void {
  places.set(values, place);
}
