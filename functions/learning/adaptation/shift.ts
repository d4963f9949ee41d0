/**
 * How far the target lies from the source once the mix of classes is accounted for, and whether that is more than chance.
 *
 * With the source head's probabilities p(c | t) for target rows, δ = 1/m Σ_t (t − Σ_c p(c | t) μ_c): what is left of each target row when the mean of the
 * class that it is taken for is removed. A target of one class only has a mean of its own but no δ, so it is not mistaken for another domain
 * (generalised target shift, Zhang et al. 2013).
 */
import { evenly, type Rows } from './align.ts';
import { gram } from '../linear-algebra.ts';

export type Shift = {
  readonly delta: Float64Array;
  /** ‖δ‖ in units of the spread of examples about their class means. */
  readonly distance: number;
  /** How often signs drawn at random bring a δ as long as this. */
  readonly chance: number;
};

const DRAWS = 499;
/** The draws look at no more source rows than this, evenly spread: their Gram matrix costs n²d. */
const DRAWN_ROWS_MAX = 256;

/** Class means [k × d] and how many rows each rests on. */
export function classMeans({ x, n, d }: Rows, labelOf: readonly number[], k: number): { means: Float64Array; counts: Float64Array } {
  const means = new Float64Array(k * d);
  const counts = new Float64Array(k);
  for (let i = 0; i < n; i++) {
    const c = labelOf[i]!;
    counts[c]! += 1;
    for (let j = 0; j < d; j++) means[c * d + j]! += x[i * d + j]!;
  }
  for (let c = 0; c < k; c++) for (let j = 0; j < d; j++) if (counts[c]! > 0) means[c * d + j]! /= counts[c]!;
  return { means, counts };
}

/**
 * @param said probabilities of the source head for target rows, [m × k]
 * @param next uniform random numbers in [0, 1): the draws must be the same in every run
 */
export function measureShift(source: Rows, labelOf: readonly number[], target: Rows, said: Float64Array, k: number, next: () => number): Shift {
  const { d } = source;
  const { means, counts } = classMeans(source, labelOf, k);
  const m = target.n;
  const share = new Float64Array(k);
  const rest = target.x.slice();
  for (let t = 0; t < m; t++) {
    // Labels without an example have no mean to be measured from.
    let known = 0;
    for (let c = 0; c < k; c++) if (counts[c]! > 0) known += said[t * k + c]!;
    for (let c = 0; c < k; c++) {
      if (counts[c] === 0 || known === 0) continue;
      const p = said[t * k + c]! / known;
      share[c]! += p / m;
      for (let j = 0; j < d; j++) rest[t * d + j]! -= p * means[c * d + j]!;
    }
  }
  const delta = new Float64Array(d);
  for (let t = 0; t < m; t++) for (let j = 0; j < d; j++) delta[j]! += rest[t * d + j]! / m;
  const length = Math.hypot(...delta);

  // Wild bootstrap (Wu 1986): target residuals about δ, and source residuals as far as the class means that were removed rest on them.
  const several = [...labelOf.keys()].filter((i) => counts[labelOf[i]!]! > 1);
  const used = evenly(several, DRAWN_ROWS_MAX);
  const louder = Math.sqrt(several.length / Math.max(1, used.length));
  const all = new Float64Array((m + used.length) * d);
  let within = 0;
  for (let t = 0; t < m; t++) for (let j = 0; j < d; j++) all[t * d + j] = (rest[t * d + j]! - delta[j]!) / m;
  for (const [u, i] of used.entries()) {
    const c = labelOf[i]!;
    // A mean over q rows hides (q − 1) / q of the variance.
    const unbias = Math.sqrt(counts[c]! / (counts[c]! - 1));
    for (let j = 0; j < d; j++) {
      const r = (source.x[i * d + j]! - means[c * d + j]!) * unbias;
      within += r * r;
      all[(m + u) * d + j] = (louder * r * share[c]!) / counts[c]!;
    }
  }
  const spread = used.length > 0 ? Math.sqrt(within / used.length) : Number.NaN;
  return { delta, distance: length / spread, chance: chanceOf(length, all, m + used.length, d, next) };
}

/** (1 + how many of the draws ‖Σ ±rᵢ‖ reach `length`) / (1 + draws). */
function chanceOf(length: number, rows: Float64Array, n: number, d: number, next: () => number): number {
  const g = gram(rows, n, d);
  let reached = 0;
  const sign = new Float64Array(n);
  for (let draw = 0; draw < DRAWS; draw++) {
    for (let i = 0; i < n; i++) sign[i] = next() < 0.5 ? -1 : 1;
    let squared = 0;
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j < n; j++) sum += sign[j]! * g[i * n + j]!;
      squared += sign[i]! * sum;
    }
    if (squared >= length * length) reached++;
  }
  return (1 + reached) / (1 + DRAWS);
}
