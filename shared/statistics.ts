/** Small statistics for the gate, heads and benchmarks, each with its source. Pure: randomness is an argument. */

export type Random = () => number;

/** Deterministic uniform numbers in [0, 1) from a 32-bit seed (mulberry32, Tommy Ettinger, public domain). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Two-sided 95 % and one-sided 95 %/80 % points of the normal distribution. */
export const Z_TWO_SIDED_95 = 1.959964;
export const Z_ONE_SIDED_95 = 1.644854;
export const Z_POWER_80 = 0.841621;

/** Wilson's score interval for k successes of n (Wilson 1927); [0, 1] when n = 0. */
export function wilsonInterval(k: number, n: number, z = Z_TWO_SIDED_95): { low: number; high: number } {
  if (n === 0) return { low: 0, high: 1 };
  const p = k / n;
  const z2 = z * z;
  const center = (p + z2 / (2 * n)) / (1 + z2 / n);
  const half = (z / (1 + z2 / n)) * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n * n));
  // At k = 0 and k = n the bound is exactly 0 and 1; rounding must not leave a hair.
  return { low: k === 0 ? 0 : Math.max(0, center - half), high: k === n ? 1 : Math.min(1, center + half) };
}

/** ln n! by Stirling's series from 16 on (error below 1e-12), by product below. */
function logFactorial(n: number): number {
  if (n < 16) {
    let product = 1;
    for (let i = 2; i <= n; i++) product *= i;
    return Math.log(product);
  }
  return (n + 0.5) * Math.log(n) - n + 0.9189385332046727 + 1 / (12 * n) - 1 / (360 * n ** 3) + 1 / (1_260 * n ** 5);
}

/** P(X ≥ wins) for X ~ Binomial(wins + losses, ½): the exact one-sided sign test, also McNemar's exact test (McNemar 1947). 1 without pairs. */
export function signTest(wins: number, losses: number): number {
  const n = wins + losses;
  let sum = 0;
  for (let k = wins; k <= n; k++) sum += Math.exp(logFactorial(n) - logFactorial(k) - logFactorial(n - k) - n * Math.LN2);
  return Math.min(1, sum);
}

/** A standard normal number (Box and Muller 1958). */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Above this many expected successes (and failures) the rounded normal differs from the binomial by less than the bootstrap's own noise. */
const NORMAL_FROM = 30;

/** One draw of Binomial(n, p): inversion (Kachitvichyanukul and Schmeiser 1988, BINV), the rounded normal for large counts. */
export function drawBinomial(n: number, p: number, random: Random): number {
  if (n <= 0 || p <= 0) return 0;
  if (p >= 1) return n;
  if (p > 0.5) return n - drawBinomial(n, 1 - p, random);
  if (n * p > NORMAL_FROM) return Math.min(n, Math.max(0, Math.round(n * p + Math.sqrt(n * p * (1 - p)) * normal(random))));
  const odds = p / (1 - p);
  let mass = Math.pow(1 - p, n);
  let u = random();
  let k = 0;
  while (u > mass && k < n) {
    u -= mass;
    k += 1;
    mass *= (odds * (n - k + 1)) / k;
  }
  return k;
}

/** Counts of one bootstrap sample: `n` draws with replacement from cells with these counts (n = their sum). */
export function drawMultinomial(counts: readonly number[], random: Random): number[] {
  let left = counts.reduce((sum, c) => sum + c, 0);
  let mass = left;
  return counts.map((count) => {
    const drawn = mass > 0 ? drawBinomial(left, count / mass, random) : 0;
    mass -= count;
    left -= drawn;
    return drawn;
  });
}

/** The q-quantile of values (sorted in place), with linear interpolation. */
export function quantile(values: Float64Array, q: number): number {
  if (values.length === 0) return Number.NaN;
  values.sort();
  const at = q * (values.length - 1);
  const below = Math.floor(at);
  const low = values[below] ?? 0;
  return low + ((values[below + 1] ?? low) - low) * (at - below);
}

/** 95 %, by percentiles of a bootstrap (sorted in place). */
export const percentileInterval = (drawn: Float64Array): { low: number; high: number } => ({
  low: quantile(drawn, 0.025),
  high: quantile(drawn, 0.975),
});

export const CALIBRATION_BINS = 15;

/** Expected calibration error over equal-width bins (Guo et al. 2017): Σ (rows in bin / rows) · |accuracy − mean confidence|. */
export function calibrationError(correct: readonly boolean[], confidence: readonly number[]): number {
  const rows = new Float64Array(CALIBRATION_BINS);
  const hits = new Float64Array(CALIBRATION_BINS);
  const sums = new Float64Array(CALIBRATION_BINS);
  for (const [i, right] of correct.entries()) {
    const c = Math.min(1, Math.max(0, confidence[i] ?? 0));
    const bin = Math.min(CALIBRATION_BINS - 1, Math.floor(c * CALIBRATION_BINS));
    rows[bin]! += 1;
    hits[bin]! += right ? 1 : 0;
    sums[bin]! += c;
  }
  let error = 0;
  for (let bin = 0; bin < CALIBRATION_BINS; bin++) error += Math.abs(hits[bin]! - sums[bin]!);
  return correct.length === 0 ? 0 : error / correct.length;
}
