/**
 * What the enrolled examples say about how far the mean of a window of predictions may lie from theirs by chance.
 *
 * A window of N predictions with the label shares π should have the mean Σ π_c μ_c: what is enrolled, in the mix that came. Its squared distance D from
 * there has, without drift, the expectation v · tr Σ with v = 1/N + Σ π_c²/n_c (the noise of the window and of the enrolled means) and Σ the covariance
 * within labels. The figure is shift = D / (v · tr Σ): about 1 without drift, whatever N and π are, so one threshold serves all windows. Its
 * distribution is drawn from the enrolled examples themselves: random normal combinations of their residuals (the multiplier bootstrap, Wu 1986)
 * over a trace with random weights (the Bayesian bootstrap, Rubin 1981), because the trace is estimated from the same few examples.
 */
import { normal, quantile, type Random } from '../../shared/statistics.ts';

/** Examples that have another one of their label, below which nothing is said. */
const ROWS_MIN = 6;
/** The spectrum is known well enough from so many; draws cost the square of it. */
const SPECTRUM_ROWS = 128;
const DRAWS = 4_000;
/** Features have about unit length; less than this is rounding. */
const WITHIN_MIN = 1e-10;

/** A window in which nothing drifted alarms with this probability, for each cause. */
export const ALARM_RATE = 0.001;
/** Back to normal: a figure that this share of windows without drift stays below. */
export const CALM_SHARE = 0.95;

export type DriftReference = {
  /** Mean feature and number of examples, by label (one group for classifiers of several labels). */
  readonly groups: ReadonlyMap<string, { readonly n: number; readonly mean: Float64Array }>;
  /** Examples that the spread was measured on. */
  readonly rows: number;
  /** tr Σ: expected squared distance of an example to the mean of its label. */
  readonly within: number;
  /** Quantiles of the shift without drift. */
  readonly alarm: number;
  readonly calm: number;
};

type Row = { readonly group: string; readonly x: Float64Array };

/** Null while too few examples share a label to know how far apart such inputs lie. */
export function driftReference(rows: readonly Row[], random: Random): DriftReference | null {
  const groups = new Map<string, { n: number; mean: Float64Array }>();
  for (const [group, members] of Map.groupBy(rows, (row) => row.group)) {
    const mean = new Float64Array(members[0]!.x.length);
    for (const { x } of members) for (let i = 0; i < mean.length; i++) mean[i]! += x[i]! / members.length;
    groups.set(group, { n: members.length, mean });
  }
  const residuals = rows.flatMap(({ group, x }) => {
    const { n, mean } = groups.get(group)!;
    if (n < 2) return [];
    // An example lies nearer to a mean that it is part of.
    const scale = Math.sqrt(n / (n - 1));
    return [x.map((value, i) => (value - mean[i]!) * scale)];
  });
  if (residuals.length < ROWS_MIN) return null;
  const within = residuals.reduce((sum, r) => sum + dot(r, r), 0) / residuals.length;
  // All examples are copies of one: any distance would be infinitely far.
  if (within < WITHIN_MIN) return null;
  const shifts = drawShifts(thinned(residuals), random);
  return { groups, rows: residuals.length, within, alarm: quantile(shifts, 1 - ALARM_RATE), calm: quantile(shifts, CALM_SHARE) };
}

function thinned<T>(items: readonly T[]): readonly T[] {
  if (items.length <= SPECTRUM_ROWS) return items;
  return Array.from({ length: SPECTRUM_ROWS }, (_, i) => items[Math.floor((i * items.length) / SPECTRUM_ROWS)]!);
}

/** Draws of the shift without drift. */
function drawShifts(residuals: readonly Float64Array[], random: Random): Float64Array {
  const n = residuals.length;
  const gram = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) gram[i * n + j] = gram[j * n + i] = dot(residuals[i]!, residuals[j]!);
  const draws = new Float64Array(DRAWS);
  const weights = new Float64Array(n);
  for (let t = 0; t < DRAWS; t++) {
    for (let i = 0; i < n; i++) weights[i] = normal(random);
    let distance = 0;
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j < i; j++) sum += gram[i * n + j]! * weights[j]!;
      distance += weights[i]! * (2 * sum + gram[i * n + i]! * weights[i]!);
    }
    let trace = 0;
    let total = 0;
    for (let i = 0; i < n; i++) {
      const weight = -Math.log(1 - random());
      trace += weight * gram[i * n + i]!;
      total += weight;
    }
    draws[t] = trace > 0 ? (distance / n / trace) * total : 0;
  }
  return draws;
}

const dot = (a: Float64Array, b: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

/** Shift and distance of a window's mean; null when it holds labels that have no example. */
export function featureShift(
  window: { readonly mean: Float64Array; readonly labels: ReadonlyMap<string, number> },
  reference: DriftReference,
): { shift: number; distance: number } | null {
  const n = [...window.labels.values()].reduce((sum, count) => sum + count, 0);
  const expected = new Float64Array(window.mean.length);
  let noise = 1 / n;
  for (const [label, count] of window.labels) {
    const group = reference.groups.get(label);
    if (!group) return null;
    const share = count / n;
    noise += (share * share) / group.n;
    for (let i = 0; i < expected.length; i++) expected[i]! += share * group.mean[i]!;
  }
  let apart = 0;
  for (let i = 0; i < expected.length; i++) apart += (window.mean[i]! - expected[i]!) ** 2;
  return { shift: apart / (noise * reference.within), distance: Math.sqrt(apart / reference.within) };
}
