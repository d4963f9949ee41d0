/** The gate's measurements of one contender, and a comparison as callers see it. */
import type { Comparison, Contender, Metrics } from '../../shared/wire/evaluation.ts';
import type { HeldOut, SeveralHeldOut } from '../../shared/engine.ts';
import { macroF1 } from './macro-f1.ts';
import type { PairedComparison } from './paired-bootstrap.ts';
import { exactly, macroMetrics, type LabelTruth } from './paired-labels.ts';
import { calibrationError, drawMultinomial, percentileInterval, seededRandom, wilsonInterval } from '../../shared/statistics.ts';

const METRIC_RESAMPLES = 2_000;

export function toComparison(against: Contender, on: Comparison['on'], paired: PairedComparison): Comparison {
  return {
    against,
    on,
    rows: paired.rows,
    difference: paired.difference,
    interval: { ...paired.interval },
    probability_better: paired.probabilityBetter,
    wins: paired.wins,
    losses: paired.losses,
    p_value: paired.pBetter,
    macro_recall_difference: paired.macroRecall.difference,
    macro_f1_difference: paired.macroF1.difference,
  };
}

/** One entry a row: the true label, whether this contender was right, its answer and the probability that it gave it. */
export function metricsOf(
  truth: readonly number[],
  correct: readonly boolean[],
  { prediction, confidence }: HeldOut['candidate'],
  seed: number,
): Metrics {
  const hits = correct.filter(Boolean).length;
  const cells = new Map<number, [number, number]>();
  for (const [i, label] of truth.entries()) {
    const cell = cells.get(label) ?? [0, 0];
    cell[correct[i] ? 1 : 0] += 1;
    cells.set(label, cell);
  }
  const counts = [...cells.values()].flat();
  const macroOf = (of: readonly number[]) => {
    let sum = 0;
    let seen = 0;
    for (let at = 0; at < of.length; at += 2) {
      const rows = of[at]! + of[at + 1]!;
      if (rows > 0) {
        sum += of[at + 1]! / rows;
        seen += 1;
      }
    }
    return seen === 0 ? 0 : sum / seen;
  };
  const random = seededRandom(seed);
  const macros = Float64Array.from({ length: METRIC_RESAMPLES }, () => macroOf(drawMultinomial(counts, random)));
  return {
    accuracy: { value: truth.length === 0 ? 0 : hits / truth.length, interval: wilsonInterval(hits, truth.length) },
    macro_recall: { value: macroOf(counts), interval: percentileInterval(macros) },
    macro_f1: macroF1(truth, prediction, seed),
    calibration_error: calibrationError(correct, confidence),
  };
}

/** Of several labels a row: exact matches, means over labels, and how true the probabilities of the labels that are said are. */
export function metricsOfSeveral(of: LabelTruth, answers: SeveralHeldOut['candidate'], seed: number): Metrics {
  const rows = of.truth.length;
  const hits = exactly(of, answers.prediction).filter(Boolean).length;
  const had = answers.prediction.flatMap((said, i) => said.map((label) => of.truth[i]!.includes(label)));
  return {
    accuracy: { value: rows === 0 ? 0 : hits / rows, interval: wilsonInterval(hits, rows) },
    ...macroMetrics(of, answers.prediction, seed),
    calibration_error: calibrationError(had, answers.probability.flat()),
  };
}
