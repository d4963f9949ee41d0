/*
 * Rows of 16-bit integers: half the memory of floats, and eight products an instruction. A row x is q = round(s x) with its own scale s, as large as it can
 * be for no sum to overflow: of each BLOCK values, eight lanes take every sixteenth pair. A lane's sum of products, and every part of it, is at
 * most the product of the two rows' norms in that lane (Cauchy-Schwarz), and s keeps each of those below 2^15.5 = 46,340.9: at most LANE_MAX of s x, and
 * half of the root of the lane's 16 values, which is 2, for what rounding adds. Blocks are summed as floats.
 */
#include "lanes.h"

#define STEP_MAX 32767.0f
#define LANE_MAX 46335.0f
#define BLOCK 128

/*
 * out = round(x s), zeros up to a multiple of 16; x is written there too. Answers 1 / s; 0 for a row of zeros; NaN when x is not finite or too small or
 * large for it.
 */
__attribute__((export_name("quantise"))) float quantise(float *x, short *out, int d) {
  int padded = (d + 15) & ~15;
  for (int i = d; i < padded; i++) x[i] = 0;
  v128_t zero = wasm_f32x4_const_splat(0), largest = zero, squares = zero;
  for (int i = 0; i < padded;) {
    int end = i + BLOCK < padded ? i + BLOCK : padded;
    v128_t a = zero, b = zero, c = zero, e = zero;
    for (; i < end; i += 16) {
      v128_t p = LOAD(x + i), q = LOAD(x + i + 4), r = LOAD(x + i + 8), t = LOAD(x + i + 12);
      v128_t pq = wasm_f32x4_max(wasm_f32x4_abs(p), wasm_f32x4_abs(q)), rt = wasm_f32x4_max(wasm_f32x4_abs(r), wasm_f32x4_abs(t));
      largest = wasm_f32x4_max(largest, wasm_f32x4_max(pq, rt));
      a = wasm_f32x4_add(a, wasm_f32x4_mul(p, p));
      b = wasm_f32x4_add(b, wasm_f32x4_mul(q, q));
      c = wasm_f32x4_add(c, wasm_f32x4_mul(r, r));
      e = wasm_f32x4_add(e, wasm_f32x4_mul(t, t));
    }
    /* A lane of the integer product takes two neighbours. */
    v128_t ab = wasm_f32x4_add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
    v128_t ce = wasm_f32x4_add(wasm_i32x4_shuffle(c, e, 0, 2, 4, 6), wasm_i32x4_shuffle(c, e, 1, 3, 5, 7));
    squares = wasm_f32x4_max(squares, wasm_f32x4_max(ab, ce));
  }
  v128_t lanes = wasm_f32x4_sqrt(squares);
  v128_t need = wasm_f32x4_max(wasm_f32x4_mul(largest, wasm_f32x4_splat(1 / STEP_MAX)), wasm_f32x4_mul(lanes, wasm_f32x4_splat(1 / LANE_MAX)));
  v128_t half = wasm_f32x4_max(need, wasm_i32x4_shuffle(need, need, 2, 3, 0, 1));
  float step = wasm_f32x4_extract_lane(wasm_f32x4_max(half, wasm_i32x4_shuffle(half, half, 1, 0, 3, 2)), 0);
  if (step != 0 && !(step > 1e-20f && step < 1e12f)) return __builtin_nanf("");
  v128_t scale = wasm_f32x4_splat(step == 0 ? 0 : 1 / step);
  for (int i = 0; i < padded; i += 8) {
    v128_t p = wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(wasm_f32x4_mul(LOAD(x + i), scale)));
    v128_t q = wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(wasm_f32x4_mul(LOAD(x + i + 4), scale)));
    wasm_v128_store(out + i, wasm_i16x8_narrow_i32x4(p, q));
  }
  return step;
}

#define ADD_SHORTS(sum, p, v) sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(LOAD(p), v))
#define ADD_BLOCK(sum, a, b) sum = wasm_f32x4_add(sum, wasm_f32x4_add(wasm_f32x4_convert_i32x4(a), wasm_f32x4_convert_i32x4(b)))

/* out[r] = steps[r] step sum_i w[r stride + i] x[i]; stride is a multiple of 16, steps those of `quantise`. */
__attribute__((export_name("dot_shorts"))) void dot_shorts(const short *w, const float *steps, const short *x, float step, float *out, int rows, int stride) {
  int r = 0;
  for (; r + 4 <= rows; r += 4) {
    const short *p0 = w + (long)r * stride, *p1 = p0 + stride, *p2 = p1 + stride, *p3 = p2 + stride;
    v128_t zero = wasm_i32x4_const_splat(0), s0 = zero, s1 = zero, s2 = zero, s3 = zero;
    for (int i = 0; i < stride;) {
      int end = i + BLOCK < stride ? i + BLOCK : stride;
      v128_t a0 = zero, a1 = zero, a2 = zero, a3 = zero, b0 = zero, b1 = zero, b2 = zero, b3 = zero;
      for (; i < end; i += 16) {
        v128_t v = LOAD(x + i), u = LOAD(x + i + 8);
        ADD_SHORTS(a0, p0 + i, v);
        ADD_SHORTS(a1, p1 + i, v);
        ADD_SHORTS(a2, p2 + i, v);
        ADD_SHORTS(a3, p3 + i, v);
        ADD_SHORTS(b0, p0 + i + 8, u);
        ADD_SHORTS(b1, p1 + i + 8, u);
        ADD_SHORTS(b2, p2 + i + 8, u);
        ADD_SHORTS(b3, p3 + i + 8, u);
      }
      ADD_BLOCK(s0, a0, b0);
      ADD_BLOCK(s1, a1, b1);
      ADD_BLOCK(s2, a2, b2);
      ADD_BLOCK(s3, a3, b3);
    }
    out[r] = total(s0, zero) * (steps[r] * step);
    out[r + 1] = total(s1, zero) * (steps[r + 1] * step);
    out[r + 2] = total(s2, zero) * (steps[r + 2] * step);
    out[r + 3] = total(s3, zero) * (steps[r + 3] * step);
  }
  for (; r < rows; r++) {
    const short *p = w + (long)r * stride;
    v128_t zero = wasm_i32x4_const_splat(0), sum = zero;
    for (int i = 0; i < stride;) {
      int end = i + BLOCK < stride ? i + BLOCK : stride;
      v128_t a = zero, b = zero;
      for (; i < end; i += 16) {
        ADD_SHORTS(a, p + i, LOAD(x + i));
        ADD_SHORTS(b, p + i + 8, LOAD(x + i + 8));
      }
      ADD_BLOCK(sum, a, b);
    }
    out[r] = total(sum, zero) * (steps[r] * step);
  }
}
