/** What of a head lies in a RowMemory, and what its kernel can do with it there. Everything else is done by the plain loops. */
import type { FeatureTransform, HeadComponent, KernelPower, Support } from '../../shared/head.ts';

/** A feature vector and ‖x‖². */
export type Feature = { readonly x: Float64Array | Float32Array; readonly squares: number };

/** Each operation answers false or null when the kernel cannot do it: not there any more, or values that its numbers cannot hold. */
export interface Placed {
  /** The values, or what the shorts in their place stand for, which is made anew at every reading. */
  readonly values: Float32Array;
  /** What it takes of the memory; 0 once freed. */
  readonly bytes: number;
  /** As a centre: features of a raw embedding, good until the next ones are asked for. */
  features(raw: Float32Array, transform: FeatureTransform): Feature | null;
  /** As rows: their products with x, to single precision or to that of shorts. */
  multiply(x: Float64Array | Float32Array, rows: number, out: Float64Array): boolean;
  /** As directions: the features' coordinates in them, good until something else is asked for than `compare`. */
  project(x: Float64Array | Float32Array): Float32Array | null;
  /** As kept rows: their products with x times `scale`, good until the next ones are asked for. */
  compare(x: Float64Array | Float32Array, scale: number): Float32Array | null;
  /** κ of the cosines that `compare` answered last, as good as these are. */
  kernelOf(cosines: Float64Array | Float32Array, power: KernelPower): Float32Array | null;
  /** As a lower triangular F: ‖F·x‖², of as many values of x as it reads. */
  lowerSquares(x: Float64Array | Float32Array): number | null;
}

/** Of a component: `center`, `weight`. Of a support: `center`, `basis` where it has one, `rows`, `factor`. */
export type Places = { readonly center: Placed; readonly weight?: Placed; readonly basis?: Placed; readonly rows?: Placed; readonly factor?: Placed };

const places = new WeakMap<HeadComponent | Support, Places>();

export const placesOf = (part: HeadComponent | Support): Places | undefined => places.get(part);

export function setPlaces(part: HeadComponent | Support, its: Places): void {
  places.set(part, its);
}
