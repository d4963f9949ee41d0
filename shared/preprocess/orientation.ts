/** EXIF orientation on a square, where it is only a permutation of pixels: exact, and nothing is scaled twice. */

/**
 * @param pixels side × side × 3 RGB bytes as stored in the file
 * @param orientation 1–8 (EXIF 2.3 tag 0x0112)
 * @returns upright pixels; the same array when the orientation is 1
 */
export function orientSquare(pixels: Uint8Array, side: number, orientation: number): Uint8Array {
  if (orientation <= 1 || orientation > 8) return pixels;
  const out = new Uint8Array(pixels.length);
  const last = side - 1;
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      let sx = x;
      let sy = y;
      // Which stored pixel is shown at (x, y).
      if (orientation === 2) sx = last - x;
      else if (orientation === 3) [sx, sy] = [last - x, last - y];
      else if (orientation === 4) sy = last - y;
      else if (orientation === 5) [sx, sy] = [y, x];
      else if (orientation === 6) [sx, sy] = [y, last - x];
      else if (orientation === 7) [sx, sy] = [last - y, last - x];
      else if (orientation === 8) [sx, sy] = [last - y, x];
      const from = (sy * side + sx) * 3;
      const to = (y * side + x) * 3;
      out[to] = pixels[from] ?? 0;
      out[to + 1] = pixels[from + 1] ?? 0;
      out[to + 2] = pixels[from + 2] ?? 0;
    }
  }
  return out;
}
