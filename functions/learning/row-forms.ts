/**
 * How rows are written in a RowMemory. As floats, as they are. As shorts, [rows] steps and then integers, each row padded with zeros to a multiple of 16
 * (simd/build/shorts.c). As the lower half of a square, four rows at a time as wide as the last of them needs, up to a multiple of eight: half of
 * its memory and of its products.
 */
export type Form = 'floats' | 'shorts' | 'lower';
/** Row-major [rows × columns]; of the lower half of a square both are its side. */
export type Shape = { readonly rows: number; readonly columns: number };

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

/** Shorts of a row, its padding included. */
export const strideOf = ({ columns }: Shape): number => roundUp(columns, 16);
/** Where the integers begin behind the steps. */
export const shortsAt = ({ rows }: Shape): number => roundUp(rows * 4, 16);
const widthOf = (row: number): number => roundUp(row - (row % 4) + 4, 8);

export function bytesOf(form: Form, shape: Shape): number {
  if (form === 'floats') return shape.rows * shape.columns * 4;
  if (form === 'shorts') return shortsAt(shape) + shape.rows * strideOf(shape) * 2;
  let floats = 0;
  for (let r = 0; r < shape.rows; r += 4) floats += 4 * widthOf(r);
  return floats * 4;
}

/** @param to zeros or anything else, as long as `bytesOf` says */
export function writeLower(values: Float32Array, side: number, to: Float32Array): void {
  to.fill(0);
  for (let r = 0, at = 0; r < side; at += widthOf(r), r++) to.set(values.subarray(r * side, r * side + r + 1), at);
}

export function readLower(from: Float32Array, side: number): Float32Array {
  const values = new Float32Array(side * side);
  for (let r = 0, at = 0; r < side; at += widthOf(r), r++) values.set(from.subarray(at, at + r + 1), r * side);
  return values;
}

export function readShorts(steps: Float32Array, shorts: Int16Array, shape: Shape): Float32Array {
  const stride = strideOf(shape);
  const values = new Float32Array(shape.rows * shape.columns);
  for (let r = 0, to = 0; r < shape.rows; r++) for (let i = 0; i < shape.columns; i++) values[to++] = shorts[r * stride + i]! * steps[r]!;
  return values;
}
