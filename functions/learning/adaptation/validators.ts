/**
 * What can be said of a head on target inputs without their labels. None of these is accuracy: they veto and weigh, and every one is told as evidence.
 */
import { softmax } from '../calibration.ts';
import { fitRidgeLeaveOneOut } from '../ridge.ts';
import { evenly, pickRows, type Rows } from './align.ts';

/** Temperature of the neighbourhoods (Saito et al. 2021 use the same for all their data sets). */
const NEIGHBOUR_TEMPERATURE = 0.05;
/** A row may count so many times as much as the average one: density ratios of few rows are wild. */
const RATIO_MAX = 4;
/** The domains are told apart by at most so many source rows: a solve costs n³. */
const DOMAIN_ROWS_MAX = 256;

/** Probabilities [m × k] from raw scores. */
export function probabilities(scores: Float64Array, k: number, temperature: number): Float64Array {
  const out = new Float64Array(scores.length);
  for (let i = 0; i < scores.length; i += k) out.set(softmax(scores.subarray(i, i + k), temperature), i);
  return out;
}

/** H(p) in nats. */
export function entropy(p: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < p.length; i++) if (p[i]! > 0) sum -= p[i]! * Math.log(p[i]!);
  return sum;
}

/**
 * Information maximisation (Krause, Perona & Gomes 2010): H(mean p) − mean H(p), as a part of log k. High when each answer is sure and the answers
 * differ; a head that calls everything the same has none.
 */
export function information(p: Float64Array, k: number): number {
  const m = p.length / k;
  const mean = new Float64Array(k);
  let sure = 0;
  for (let i = 0; i < m; i++) {
    const row = p.subarray(i * k, (i + 1) * k);
    sure += entropy(row) / m;
    for (let c = 0; c < k; c++) mean[c]! += row[c]! / m;
  }
  return k > 1 ? (entropy(mean) - sure) / Math.log(k) : 0;
}

/** The same where every label is its own yes or no: mean over labels, each as a part of log 2. @param p probabilities of yes, [m × k] */
export function separateInformation(p: Float64Array, k: number): number {
  let sum = 0;
  for (let c = 0; c < k; c++) {
    const both = new Float64Array((2 * p.length) / k);
    for (let i = 0; i < both.length / 2; i++) both.set([p[i * k + c]!, 1 - p[i * k + c]!], 2 * i);
    sum += information(both, 2) / k;
  }
  return sum;
}

/** Soft neighbourhood density (Saito et al. 2021): mean entropy of softmax similarities between the answers; high when answers form dense groups. */
export function neighbourhoodDensity(p: Float64Array, k: number): number {
  const m = p.length / k;
  if (m < 3) return 0;
  const norms = Float64Array.from({ length: m }, (_, i) => Math.hypot(...p.subarray(i * k, (i + 1) * k)));
  let total = 0;
  for (let i = 0; i < m; i++) {
    const row: number[] = [];
    for (let j = 0; j < m; j++) {
      if (j === i) continue;
      let dot = 0;
      for (let c = 0; c < k; c++) dot += p[i * k + c]! * p[j * k + c]!;
      row.push(dot / (norms[i]! * norms[j]!));
    }
    total += entropy(softmax(row, NEIGHBOUR_TEMPERATURE));
  }
  return total / m / Math.log(m - 1);
}

export type Domains = {
  /** 2(1 − 2ε) with the left-out error ε of a classifier that tells the domains apart (Ben-David et al. 2007): 0 alike, 2 apart. */
  readonly distance: number;
  /** By source row: how many times as likely it is among target rows, at most RATIO_MAX; rows that were not looked at have none. */
  readonly ratio: ReadonlyMap<number, number>;
};

/** A ridge classifier of the domain, judged and read by leave-one-out, because in 1,280 dimensions few rows are always told apart by what saw them. */
export function tellDomains(all: Rows, target: Rows): Domains {
  const looked = evenly([...Array(all.n).keys()], DOMAIN_ROWS_MAX);
  const source = pickRows(all, looked);
  const { d } = source;
  const n = source.n + target.n;
  const x = new Float64Array(n * d);
  x.set(source.x);
  x.set(target.x, source.n * d);
  const labelsOf = Array.from({ length: n }, (_, i) => [i < source.n ? 0 : 1]);
  const { leftOut } = fitRidgeLeaveOneOut({ x, n, d, labels: 2, labelsOf });
  let [wrongSource, wrongTarget] = [0, 0];
  const ratio = new Map<number, number>();
  for (let i = 0; i < n; i++) {
    const lean = leftOut[i * 2 + 1]! - leftOut[i * 2]!;
    if (i >= source.n) {
      if (lean <= 0) wrongTarget++;
      continue;
    }
    // Scores on ±1 targets: half the difference is 2p − 1.
    const p = Math.min(0.95, Math.max(0.05, (lean / 2 + 1) / 2));
    ratio.set(looked[i]!, Math.min(RATIO_MAX, p / (1 - p)));
    if (lean > 0) wrongSource++;
  }
  const error = (wrongSource / source.n + wrongTarget / target.n) / 2;
  return { distance: Math.max(0, 2 * (1 - 2 * error)), ratio };
}
