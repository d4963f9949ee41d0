/* Four lanes of a float or of an int, eight of a short. */
#include <wasm_simd128.h>

#define LOAD(p) wasm_v128_load(p)
#define ADD_PRODUCT(sum, p, v) sum = wasm_f32x4_add(sum, wasm_f32x4_mul(LOAD(p), v))

static inline float total(v128_t a, v128_t b) {
  v128_t s = wasm_f32x4_add(a, b);
  return (wasm_f32x4_extract_lane(s, 0) + wasm_f32x4_extract_lane(s, 1)) + (wasm_f32x4_extract_lane(s, 2) + wasm_f32x4_extract_lane(s, 3));
}
