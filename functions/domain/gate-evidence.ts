/** What counts as evidence at the gate: better, worse, not worse by more than a margin, and clearly worse calibrated. Pure. */
import type { PairedRows } from './paired-bootstrap.ts';
import { calibrationError, quantile, seededRandom, Z_ONE_SIDED_95 } from '../../shared/statistics.ts';

/** Evidence that a promotion needs, and that a loss needs to block one. */
export const CONFIDENCE = 0.95;
/** How much accuracy a cheaper candidate may lose at most. */
export const EQUAL_WITHIN = 0.01;
/** Calibration blocks when it is bad (above the first) and worse than what is served by more than the second. */
const CALIBRATION_BAD = 0.1;
const CALIBRATION_WORSE_BY = 0.05;
const CALIBRATION_RESAMPLES = 400;
/** A resample draws at most this many rows: beyond it the error of the estimate is far below the margins. */
const CALIBRATION_ROWS = 2_000;

/** Better beyond doubt: 95 % of paired resamples strictly better, and an exact sign test at 5 %. */
export function isBetter(p: PairedRows): boolean {
  return p.probabilityStrictlyBetter >= CONFIDENCE && p.pBetter <= 1 - CONFIDENCE;
}

export function isWorse(p: PairedRows): boolean {
  return p.difference < 0 && p.pWorse <= 1 - CONFIDENCE;
}

/**
 * One-sided 95 % lower limit of the difference of paired proportions: δ̃ − z·√((p₁ + p₂ − δ̃²) / (n + 2)) with p = (count + 1) / (n + 2) of the rows
 * won and lost (Bonett and Price 2012). Unlike a bootstrap it is not zero-wide where the two never disagree: few rows prove nothing.
 */
export function lowerLimit(p: PairedRows): number {
  if (p.rows === 0) return -1;
  const n = p.rows + 2;
  const won = (p.wins + 1) / n;
  const lost = (p.losses + 1) / n;
  return won - lost - Z_ONE_SIDED_95 * Math.sqrt((won + lost - (won - lost) ** 2) / n);
}

/** Not worse by a point or more, beyond doubt. */
export function isEqualWithin(p: PairedRows): boolean {
  return !isWorse(p) && lowerLimit(p) >= -EQUAL_WITHIN;
}

export type Judged = {
  readonly correct: readonly boolean[];
  readonly confidence: readonly number[];
  /** Which of these each row said, where it may say several; one each when absent. */
  readonly ofRow?: readonly (readonly number[])[];
};
export type CalibrationLoss = { readonly candidate: number; readonly incumbent: number; readonly difference: number; readonly low: number };

/**
 * The calibration errors when the candidate's is clearly worse, else null: above 0.1, more than 0.05 above the incumbent's, and above it in 95 % of
 * paired resamples (`low` is their 5 % point), because on few rows the measure itself is noisy.
 */
export function calibrationLoss(candidate: Judged, incumbent: Judged, seed: number): CalibrationLoss | null {
  const rows = candidate.ofRow?.length ?? candidate.correct.length;
  const own = calibrationError(candidate.correct, candidate.confidence);
  const served = calibrationError(incumbent.correct, incumbent.confidence);
  if (own <= CALIBRATION_BAD || own - served <= CALIBRATION_WORSE_BY) return null;
  const random = seededRandom(seed);
  const size = Math.min(rows, CALIBRATION_ROWS);
  const differences = Float64Array.from({ length: CALIBRATION_RESAMPLES }, () => {
    const drawn = Array.from({ length: size }, () => Math.floor(random() * rows));
    const of = ({ correct, confidence, ofRow }: Judged) => {
      const said = ofRow ? drawn.flatMap((i) => ofRow[i]!) : drawn;
      return calibrationError(
        said.map((i) => correct[i]!),
        said.map((i) => confidence[i]!),
      );
    };
    return of(candidate) - of(incumbent);
  });
  const low = quantile(differences, 1 - CONFIDENCE);
  return low > 0 ? { candidate: own, incumbent: served, difference: own - served, low } : null;
}
