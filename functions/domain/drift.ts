/**
 * Judges one window of predictions for drift by three causes, each against what chance alone would do: `features` (the inputs lie elsewhere than the
 * enrolled ones, see drift-reference.ts), `labels` (their mix is another than in the traffic before) and `unknown` (more of them than promised).
 * An alarm lasts until a window is well within the normal again, so a figure on the edge does not raise it over and over.
 */
import { ALARM_RATE, CALM_SHARE, featureShift, type DriftReference } from './drift-reference.ts';
import { addedUp, countOf, type LabelCounts } from './label-counts.ts';
import { drawMultinomial, quantile, type Random } from '../../shared/statistics.ts';

export const DRIFT_CAUSES = ['features', 'labels', 'unknown'] as const;
export type DriftCause = (typeof DRIFT_CAUSES)[number];

/** A stability index from which a shift of the mix is called significant by convention (Siddiqi 2006), however sure it is. */
const INDEX_MIN = 0.25;
const DRAWS = 1_000;
/** Added to every count, so that a label that did not come has a logarithm. */
const HALF = 0.5;
/** Traffic before the window counts as this many predictions at most: slow changes become the normal. */
const BASELINE_MAX = 2_000;
const MIX_SHOWN = 10;

export type DriftWindow = {
  readonly mean: Float64Array;
  /** Predictions by their likeliest label, unknown ones too. */
  readonly labels: LabelCounts;
  readonly unknown: number;
  readonly predictions: number;
};
/** Traffic of windows without drift. */
export type Baseline = { readonly labels: LabelCounts; readonly unknown: number; readonly predictions: number };

export type DriftFigures = {
  readonly features: { readonly shift: number; readonly threshold: number; readonly distance: number } | null;
  readonly labels: {
    readonly stability_index: number;
    readonly threshold: number | null;
    readonly reference: 'enrolled' | 'traffic';
    readonly mix: { readonly label: string; readonly share: number; readonly expected: number }[];
  };
  readonly unknown: { readonly share: number; readonly expected: number; readonly threshold: number } | null;
};
export type Judgement = { readonly figures: DriftFigures; readonly causes: DriftCause[]; readonly baseline: Baseline | null };

type Verdict = 'alarm' | 'between' | 'calm';

/** @param before what was alarmed by the window before, and the traffic before it */
export function judgeWindow(
  window: DriftWindow,
  known: {
    readonly reference: DriftReference | null;
    readonly enrolled: LabelCounts;
    readonly falseRejectRate: number | null;
    readonly several: boolean;
  },
  before: { readonly causes: readonly DriftCause[]; readonly baseline: Baseline | null },
  random: Random,
): Judgement {
  const { reference, falseRejectRate } = known;
  // Examples of several labels have no label of their own to lie near: they are one group.
  const groups = new Map(known.several ? [['', window.predictions]] : Object.entries(window.labels));
  const moved = reference && featureShift({ mean: window.mean, labels: groups }, reference);
  const mix = labelMix(window.labels, before.baseline?.labels ?? null, known.enrolled, random);
  const unknown = falseRejectRate === null ? null : unknownShare(window, falseRejectRate, reference?.rows ?? 0, before.baseline);
  const verdicts: Record<DriftCause, Verdict> = {
    features: moved && reference ? between(moved.shift, reference.calm, reference.alarm) : 'calm',
    labels: mix.verdict,
    unknown: unknown?.verdict ?? 'calm',
  };
  const causes = DRIFT_CAUSES.filter((c) => verdicts[c] === 'alarm' || (verdicts[c] === 'between' && before.causes.includes(c)));
  return {
    figures: {
      features: moved && reference ? { shift: moved.shift, threshold: reference.alarm, distance: moved.distance } : null,
      labels: mix.figures,
      unknown: unknown?.figures ?? null,
    },
    causes,
    baseline: causes.length === 0 ? absorb(before.baseline, window) : before.baseline,
  };
}

const between = (figure: number, calm: number, alarm: number): Verdict => (figure > alarm ? 'alarm' : figure > calm ? 'between' : 'calm');
const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
const total = (counts: LabelCounts): number => sum(Object.values(counts));

/** Population stability index: Σ (p − q) · log(p / q) over labels, the symmetric Kullback–Leibler divergence (Jeffreys 1946). */
export function stabilityIndex(a: LabelCounts, b: LabelCounts): number {
  const labels = Object.keys({ ...a, ...b });
  return indexOf(
    labels.map((label) => countOf(a, label)),
    labels.map((label) => countOf(b, label)),
  );
}

function indexOf(a: readonly number[], b: readonly number[]): number {
  const [na, nb] = [sum(a) + HALF * a.length, sum(b) + HALF * b.length];
  let index = 0;
  for (let i = 0; i < a.length; i++) {
    const p = (a[i]! + HALF) / na;
    const q = (b[i]! + HALF) / nb;
    index += (p - q) * Math.log(p / q);
  }
  return index;
}

/** Enrolled examples say nothing about how often a label comes, so only traffic can alarm; the first window has nothing to be compared with. */
function labelMix(
  window: LabelCounts,
  traffic: LabelCounts | null,
  enrolled: LabelCounts,
  random: Random,
): { figures: DriftFigures['labels']; verdict: Verdict } {
  const expected = traffic ?? enrolled;
  const index = stabilityIndex(window, expected);
  const [n, m] = [total(window), Math.max(1, total(expected))];
  const mix = Object.keys({ ...window, ...expected })
    .map((label) => ({ label, share: countOf(window, label) / n, expected: countOf(expected, label) / m }))
    .toSorted((a, b) => Math.abs(b.share - b.expected) - Math.abs(a.share - a.expected))
    .slice(0, MIX_SHOWN);
  const figures = { stability_index: index, threshold: null, reference: traffic ? ('traffic' as const) : ('enrolled' as const), mix };
  if (!traffic) return { figures, verdict: 'calm' };
  const indices = drawIndices(window, traffic, random);
  const alarm = Math.max(INDEX_MIN, quantile(indices, 1 - ALARM_RATE));
  return { figures: { ...figures, threshold: alarm }, verdict: between(index, quantile(indices, CALM_SHARE), alarm) };
}

/** Stability indices of two samples of these sizes from the one mix that both together have. */
function drawIndices(window: LabelCounts, traffic: LabelCounts, random: Random): Float64Array {
  const pooled = Object.keys({ ...window, ...traffic }).map((label) => countOf(window, label) + countOf(traffic, label));
  const [one, other] = [apportion(pooled, total(window)), apportion(pooled, Math.round(total(traffic)))];
  return Float64Array.from({ length: DRAWS }, () => indexOf(drawMultinomial(one, random), drawMultinomial(other, random)));
}

/** `size` shared out in these proportions, in whole numbers (largest remainders). */
function apportion(shares: readonly number[], size: number): number[] {
  const all = sum(shares);
  const exact = shares.map((share) => (share / all) * size);
  const counts = exact.map(Math.floor);
  const left = size - sum(counts);
  const order = [...exact.keys()].toSorted((a, b) => exact[b]! - counts[b]! - (exact[a]! - counts[a]!));
  for (const i of order.slice(0, left)) counts[i]! += 1;
  return counts;
}

/**
 * The rate of unknowns was promised from `rows` examples and then seen in traffic: a beta distribution of what it really is, so the number in a window
 * is beta-binomial, and a share is alarming when as many would come by chance in ALARM_RATE of windows.
 */
function unknownShare(
  window: DriftWindow,
  promised: number,
  rows: number,
  traffic: Baseline | null,
): { figures: NonNullable<DriftFigures['unknown']>; verdict: Verdict } {
  const a = promised * rows + 1 + (traffic?.unknown ?? 0);
  const b = (1 - promised) * rows + 1 + (traffic ? traffic.predictions - traffic.unknown : 0);
  const n = window.predictions;
  // P(0 … n), from P(0) on by the ratio of neighbours.
  let mass = 1;
  for (let i = 0; i < n; i++) mass *= (b + i) / (a + b + i);
  let below = 0;
  let tail = 1;
  let threshold = n + 1;
  for (let k = 0; k <= n; k++) {
    if (k === window.unknown) tail = 1 - below;
    if (1 - below < ALARM_RATE && k < threshold) threshold = k;
    below += mass;
    mass *= ((n - k) / (k + 1)) * ((a + k) / (b + n - k - 1));
  }
  const verdict = tail < ALARM_RATE ? 'alarm' : tail < 1 - CALM_SHARE ? 'between' : 'calm';
  return { figures: { share: window.unknown / n, expected: a / (a + b), threshold: Math.min(1, threshold / n) }, verdict };
}

function absorb(baseline: Baseline | null, window: DriftWindow): Baseline {
  const old = baseline ?? { labels: {}, unknown: 0, predictions: 0 };
  const fade = Math.min(1, Math.max(0, BASELINE_MAX - window.predictions) / Math.max(1, old.predictions));
  const faded = Object.entries(old.labels).map(([label, count]) => [label, count * fade] as const);
  const labels = addedUp([...faded, ...Object.entries(window.labels)]);
  return { labels, unknown: old.unknown * fade + window.unknown, predictions: old.predictions * fade + window.predictions };
}
