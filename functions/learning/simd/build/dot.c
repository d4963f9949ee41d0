/* Features of an embedding, and products of rows with them, four lanes at a time. No data, no heap: the caller says where everything lies in the one imported memory. */
#include "lanes.h"

/* out[r] = sum_i w[r * d + i] * x[i]. Four rows share each load of x, and each row has eight sums that do not wait for each other. */
__attribute__((export_name("dot_rows"))) void dot_rows(const float *w, const float *x, float *out, int rows, int d) {
  int r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float *p0 = w + (long)r * d, *p1 = p0 + d, *p2 = p1 + d, *p3 = p2 + d;
    v128_t a0 = wasm_f32x4_const_splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    int i = 0;
    for (; i + 8 <= d; i += 8) {
      v128_t v = LOAD(x + i), u = LOAD(x + i + 4);
      ADD_PRODUCT(a0, p0 + i, v);
      ADD_PRODUCT(a1, p1 + i, v);
      ADD_PRODUCT(a2, p2 + i, v);
      ADD_PRODUCT(a3, p3 + i, v);
      ADD_PRODUCT(b0, p0 + i + 4, u);
      ADD_PRODUCT(b1, p1 + i + 4, u);
      ADD_PRODUCT(b2, p2 + i + 4, u);
      ADD_PRODUCT(b3, p3 + i + 4, u);
    }
    float s0 = total(a0, b0), s1 = total(a1, b1), s2 = total(a2, b2), s3 = total(a3, b3);
    for (; i < d; i++) {
      float v = x[i];
      s0 += p0[i] * v;
      s1 += p1[i] * v;
      s2 += p2[i] * v;
      s3 += p3[i] * v;
    }
    out[r] = s0;
    out[r + 1] = s1;
    out[r + 2] = s2;
    out[r + 3] = s3;
  }
  for (; r < rows; r++) {
    const float *p = w + (long)r * d;
    v128_t a = wasm_f32x4_const_splat(0), b = a;
    int i = 0;
    for (; i + 8 <= d; i += 8) {
      ADD_PRODUCT(a, p + i, LOAD(x + i));
      ADD_PRODUCT(b, p + i + 4, LOAD(x + i + 4));
    }
    float s = total(a, b);
    for (; i < d; i++) s += p[i] * x[i];
    out[r] = s;
  }
}

/*
 * |F x|^2 for a lower triangular F: four rows at a time, as wide as the last of the four and up to a multiple of eight, one after the other (lower-rows.ts).
 * x has zeros from m up to a multiple of eight.
 */
__attribute__((export_name("lower_squares"))) double lower_squares(const float *f, const float *x, int m) {
  double squares = 0;
  for (int r = 0; r < m; r += 4) {
    int width = (r + 4 + 7) & ~7;
    const float *p0 = f, *p1 = p0 + width, *p2 = p1 + width, *p3 = p2 + width;
    f = p3 + width;
    v128_t a0 = wasm_f32x4_const_splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    for (int i = 0; i < width; i += 8) {
      v128_t v = LOAD(x + i), u = LOAD(x + i + 4);
      ADD_PRODUCT(a0, p0 + i, v);
      ADD_PRODUCT(a1, p1 + i, v);
      ADD_PRODUCT(a2, p2 + i, v);
      ADD_PRODUCT(a3, p3 + i, v);
      ADD_PRODUCT(b0, p0 + i + 4, u);
      ADD_PRODUCT(b1, p1 + i + 4, u);
      ADD_PRODUCT(b2, p2 + i + 4, u);
      ADD_PRODUCT(b3, p3 + i + 4, u);
    }
    double s0 = total(a0, b0), s1 = total(a1, b1), s2 = total(a2, b2), s3 = total(a3, b3);
    squares += s0 * s0 + s1 * s1 + (s2 * s2 + s3 * s3);
  }
  return squares;
}

/*
 * out = raw / |raw| - center, of the square roots of what is positive when `roots`. Answers |out|^2, or NaN when raw is not finite or its squares leave
 * the range of a float: the caller then does it in double precision.
 */
__attribute__((export_name("features"))) float features(const float *raw, const float *center, float *out, int d, int roots) {
  v128_t zero = wasm_f32x4_const_splat(0), a = zero, b = zero;
  int i = 0;
  for (; i + 8 <= d; i += 8) {
    v128_t v = LOAD(raw + i), u = LOAD(raw + i + 4);
    if (roots) {
      v = wasm_f32x4_sqrt(wasm_f32x4_max(v, zero));
      u = wasm_f32x4_sqrt(wasm_f32x4_max(u, zero));
    }
    wasm_v128_store(out + i, v);
    wasm_v128_store(out + i + 4, u);
    a = wasm_f32x4_add(a, wasm_f32x4_mul(v, v));
    b = wasm_f32x4_add(b, wasm_f32x4_mul(u, u));
  }
  float squares = total(a, b);
  for (; i < d; i++) {
    float v = raw[i];
    if (roots) v = v < 0 ? 0 : __builtin_sqrtf(v);
    out[i] = v;
    squares += v * v;
  }
  if (!(squares > 1e-30f && squares < 1e30f)) return __builtin_nanf("");
  float scale = 1 / __builtin_sqrtf(squares);
  v128_t by = wasm_f32x4_splat(scale);
  a = b = zero;
  for (i = 0; i + 8 <= d; i += 8) {
    v128_t v = wasm_f32x4_sub(wasm_f32x4_mul(LOAD(out + i), by), LOAD(center + i));
    v128_t u = wasm_f32x4_sub(wasm_f32x4_mul(LOAD(out + i + 4), by), LOAD(center + i + 4));
    wasm_v128_store(out + i, v);
    wasm_v128_store(out + i + 4, u);
    a = wasm_f32x4_add(a, wasm_f32x4_mul(v, v));
    b = wasm_f32x4_add(b, wasm_f32x4_mul(u, u));
  }
  squares = total(a, b);
  for (; i < d; i++) {
    float v = out[i] * scale - center[i];
    out[i] = v;
    squares += v * v;
  }
  return squares;
}

/*
 * cosines = products * scale, in place, and out = ((1 + cosine) / 2)^power, power of two; zeros behind it up to a multiple of eight. Both have room for n
 * up to a multiple of eight.
 */
__attribute__((export_name("kernel_of"))) void kernel_of(float *products, float *out, float scale, int n, int power) {
  v128_t by = wasm_f32x4_splat(scale), half = wasm_f32x4_const_splat(0.5f);
  for (int i = 0; i < n; i += 4) {
    v128_t c = wasm_f32x4_mul(LOAD(products + i), by);
    wasm_v128_store(products + i, c);
    v128_t k = wasm_f32x4_add(wasm_f32x4_mul(c, half), half);
    for (int reached = 1; reached < power; reached *= 2) k = wasm_f32x4_mul(k, k);
    wasm_v128_store(out + i, k);
  }
  for (int i = n; i & 7; i++) out[i] = 0;
}
