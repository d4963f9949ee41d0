/** From a decoded square to what a network reads. */
import type { z } from 'zod';
import type { ImagePreprocessing } from '../catalogue.ts';

/**
 * Centre crop, normalise, channels first.
 * @param pixels `square_px`² × 3 RGB bytes
 * @returns Float32Array [1, 3, input_px, input_px], x' = (x − mean) / scale
 */
export function toNetworkInput(pixels: Uint8Array, p: z.infer<typeof ImagePreprocessing>): Float32Array<ArrayBuffer> {
  if (pixels.length !== p.square_px * p.square_px * 3) throw new RangeError(`${pixels.length} bytes are not a ${p.square_px}-pixel RGB square`);
  const side = p.input_px;
  const skip = (p.square_px - side) >> 1;
  const plane = side * side;
  const out = new Float32Array(3 * plane);
  for (let y = 0; y < side; y++) {
    let from = ((y + skip) * p.square_px + skip) * 3;
    let to = y * side;
    for (let x = 0; x < side; x++, from += 3, to++) {
      out[to] = ((pixels[from] ?? 0) - p.mean) / p.scale;
      out[plane + to] = ((pixels[from + 1] ?? 0) - p.mean) / p.scale;
      out[2 * plane + to] = ((pixels[from + 2] ?? 0) - p.mean) / p.scale;
    }
  }
  return out;
}
