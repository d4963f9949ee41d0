/** From a decoded square to what a network reads. */
import type { ImagePreprocessing } from '../catalogue.ts';

type Plane = { readonly side: number; readonly values: Float32Array | Uint8Array };

/** For each target cell, which source cells it covers and how much of each: rows of a resampling matrix that sum to 1. */
function coverage(from: number, to: number): { first: number; weights: number[] }[] {
  const step = from / to;
  return Array.from({ length: to }, (_, i) => {
    const [start, end] = [i * step, (i + 1) * step];
    const first = Math.floor(start);
    const last = Math.min(from, Math.ceil(end - 1e-9));
    const weights: number[] = [];
    for (let k = first; k < last; k++) weights.push((Math.min(end, k + 1) - Math.max(start, k)) / step);
    return { first, weights };
  });
}

/** What `shrink` works in, kept for the next picture: 1.3 MB of a request that would be garbage. Nothing waits while it is in use. */
const scratch = { rows: new Float32Array(0), values: new Float32Array(0) };

function zeros(which: keyof typeof scratch, length: number): Float32Array {
  if (scratch[which].length !== length) scratch[which] = new Float32Array(length);
  return scratch[which].fill(0);
}

/** Area mean of an interleaved RGB square: no detail finer than the target's cells survives, so nothing aliases. Good until the next one is asked for. */
function shrink(pixels: Uint8Array, from: number, to: number): Plane {
  const cells = coverage(from, to);
  const rows = zeros('rows', to * from * 3);
  for (const [y, { first, weights }] of cells.entries())
    for (const [k, w] of weights.entries()) for (let x = 0; x < from * 3; x++) rows[y * from * 3 + x]! += w * pixels[(first + k) * from * 3 + x]!;
  const values = zeros('values', to * to * 3);
  for (let y = 0; y < to; y++)
    for (const [x, { first, weights }] of cells.entries())
      for (const [k, w] of weights.entries()) for (let c = 0; c < 3; c++) values[(y * to + x) * 3 + c]! += w * rows[(y * from + first + k) * 3 + c]!;
  return { side: to, values };
}

const three = (value: ImagePreprocessing['mean']): readonly number[] => (typeof value === 'number' ? [value, value, value] : value);

/** Shape of what `toNetworkInput` gives. */
export function networkInputDims(p: ImagePreprocessing): [number, number, number, number] {
  return p.layout === 'nhwc' ? [1, p.input_px, p.input_px, 3] : [1, 3, p.input_px, p.input_px];
}

/**
 * Area mean, centre crop, normalise, lay out.
 * @param pixels `square_px`² × 3 RGB bytes
 * @returns Float32Array of the shape `networkInputDims`, x' = (x − mean) / scale
 */
export function toNetworkInput(pixels: Uint8Array, p: ImagePreprocessing): Float32Array<ArrayBuffer> {
  if (pixels.length !== p.square_px * p.square_px * 3) throw new RangeError(`${pixels.length} bytes are not a ${p.square_px}-pixel RGB square`);
  const { resize_px: to = p.square_px } = p;
  const { side, values }: Plane = to === p.square_px ? { side: to, values: pixels } : shrink(pixels, p.square_px, to);
  const skip = (side - p.input_px) >> 1;
  const plane = p.input_px * p.input_px;
  // Where a cell of channel c goes: c·plane + i (planes), or 3·i + c (interleaved).
  const [perCell, perChannel] = p.layout === 'nhwc' ? [3, 1] : [1, plane];
  const [mean, scale] = [three(p.mean), three(p.scale)];
  const out = new Float32Array(3 * plane);
  for (let c = 0; c < 3; c++) {
    const source = p.channels === 'bgr' ? 2 - c : c;
    const [m, s] = [mean[c]!, scale[c]!];
    for (let y = 0, cell = c * perChannel; y < p.input_px; y++) {
      let at = ((y + skip) * side + skip) * 3 + source;
      for (let x = 0; x < p.input_px; x++, at += 3, cell += perCell) out[cell] = (values[at]! - m) / s;
    }
  }
  return out;
}
