/** Products of a matrix's rows with one vector: what scoring a head and finding the nearest example spend their time on. */
/** Rows at a time: each value of x is read once for eight sums that do not wait for each other. More run out of registers. */
const AT_ONCE = 8;

/**
 * y_r = Σᵢ W[r·d + i]·xᵢ, in double precision.
 * @param w row-major [rows × d]
 * @param out [rows]
 */
export function dotRows(w: Float32Array, x: Float64Array | Float32Array, rows: number, out = new Float64Array(rows)): Float64Array {
  const d = x.length;
  let r = 0;
  for (; r + AT_ONCE <= rows; r += AT_ONCE) {
    const p0 = r * d;
    const p1 = p0 + d;
    const p2 = p1 + d;
    const p3 = p2 + d;
    const p4 = p3 + d;
    const p5 = p4 + d;
    const p6 = p5 + d;
    const p7 = p6 + d;
    let [y0, y1, y2, y3, y4, y5, y6, y7] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i < d; i++) {
      const v = x[i]!;
      y0 += w[p0 + i]! * v;
      y1 += w[p1 + i]! * v;
      y2 += w[p2 + i]! * v;
      y3 += w[p3 + i]! * v;
      y4 += w[p4 + i]! * v;
      y5 += w[p5 + i]! * v;
      y6 += w[p6 + i]! * v;
      y7 += w[p7 + i]! * v;
    }
    out[r] = y0;
    out[r + 1] = y1;
    out[r + 2] = y2;
    out[r + 3] = y3;
    out[r + 4] = y4;
    out[r + 5] = y5;
    out[r + 6] = y6;
    out[r + 7] = y7;
  }
  for (; r < rows; r++) out[r] = dot(w, r * d, x);
  return out;
}

/** One row with four sums. */
function dot(w: Float32Array, at: number, x: Float64Array | Float32Array): number {
  const d = x.length;
  let [a, b, c, e] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 4 <= d; i += 4) {
    a += w[at + i]! * x[i]!;
    b += w[at + i + 1]! * x[i + 1]!;
    c += w[at + i + 2]! * x[i + 2]!;
    e += w[at + i + 3]! * x[i + 3]!;
  }
  for (; i < d; i++) a += w[at + i]! * x[i]!;
  return a + b + (c + e);
}
