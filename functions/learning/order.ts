/** The order of classes by probability without a comparison function, which costs a call for each pair. */

/** Doubles keep so many bits of their fraction in the low word; the index takes as many as it needs. */
const LOW_BITS = 32;

/**
 * Indices of the `count` largest values, largest first; of equals the lower index first.
 *
 * Non-negative doubles are ordered like their bits, so an index written over the lowest bits of a copy travels with it through the native numeric
 * sort; where two copies differ in those bits only, a last pass by the values themselves puts them right.
 * @param values none negative or NaN
 */
export function largestFirst(values: Float64Array, count = values.length): number[] {
  const n = values.length;
  if (count <= 0) return [];
  if (count === 1) return n === 0 ? [] : [largestOf(values)];
  const mask = 2 ** Math.ceil(Math.log2(Math.max(2, n))) - 1;
  if (mask >= 2 ** (LOW_BITS - 1)) throw new RangeError(`${n} values are too many to order`);
  const keys = values.slice();
  const words = new Uint32Array(keys.buffer);
  // Low words come first on every machine that runs wasm: it is little-endian.
  for (let i = 0; i < n; i++) words[2 * i] = ((words[2 * i]! & ~mask) | (n - 1 - i)) >>> 0;
  keys.sort();
  const order: number[] = [];
  // One more than asked may still belong before the last: values within the lowest bits of each other.
  for (let at = n - 1; at >= 0; at--) {
    const index = n - 1 - (words[2 * at]! & mask);
    const last = order.at(-1);
    if (order.length >= count && (last === undefined || values[last]! * (1 - 2 ** -20) > values[index]!)) break;
    order.push(index);
  }
  for (let i = 1; i < order.length; i++) {
    const moving = order[i]!;
    let to = i;
    while (to > 0 && (values[moving]! > values[order[to - 1]!]! || (values[moving] === values[order[to - 1]!] && moving < order[to - 1]!))) {
      order[to] = order[to - 1]!;
      to--;
    }
    order[to] = moving;
  }
  return order.slice(0, count);
}

function largestOf(values: Float64Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
