/** From the answers of one job: what the gate says of the rows that it sees, and what is true on the rows that it does not. */
import { decideGate } from '../../../functions/domain/gate.ts';
import { fitsEdge, networkOf } from '../../../functions/domain/model-network.ts';
import { comparePaired } from '../../../functions/domain/paired-bootstrap.ts';
import type { EngineResult, HeldOut } from '../../../shared/engine.ts';
import type { ModelManifest } from '../../../shared/model-manifest.ts';

/** Against what is served, on the untouched rows: beyond doubt, or within noise. */
export type Truth = 'better' | 'worse' | 'undecided';
export type Judged = {
  readonly decision: 'promoted' | 'refused';
  readonly reasons: readonly string[];
  readonly truth: Truth;
  /** Points of accuracy that the candidate has over what is served, on the untouched rows. */
  readonly gain: number;
  /** Accuracies in per cent on the untouched rows; null where the method measures no such thing. */
  readonly candidate: number;
  readonly incumbent: number;
  readonly frozen: number;
  readonly sourceOnly: number | null;
};

type Answers = HeldOut['candidate'];

/** The same answers on some of the rows only: an answer depends on no other row. */
export function pickRows(held: HeldOut, keep: readonly number[]): HeldOut {
  const pick = <T>(all: readonly T[]): T[] => keep.map((i) => all[i]!);
  const some = <A extends Answers | null>(a: A): A => (a && { prediction: pick(a.prediction), confidence: pick(a.confidence) }) as A;
  return {
    ...held,
    rows: pick(held.rows),
    truth: pick(held.truth),
    candidate: some(held.candidate),
    incumbent: some(held.incumbent),
    frozen: some(held.frozen),
    baseline: some(held.baseline),
    zero_shot: some(held.zero_shot),
    scratch: some(held.scratch),
    source_only: some(held.source_only),
  };
}

const rightOf = (held: HeldOut, answers: Answers): boolean[] => held.truth.map((label, i) => answers.prediction[i] === label);
const percent = (right: readonly boolean[]): number => (100 * right.filter(Boolean).length) / right.length;

export function truthOf(held: HeldOut, seed: number): { truth: Truth; gain: number } {
  if (!held.incumbent) throw new Error('nothing is served that the candidate could be better than');
  const { difference, interval } = comparePaired(held.truth, rightOf(held, held.candidate), rightOf(held, held.incumbent), seed);
  return { truth: interval.low > 0 ? 'better' : interval.high < 0 ? 'worse' : 'undecided', gain: 100 * difference };
}

/** `gateRows`: how many of the held-out rows, the first ones, the gate sees. It is asked as the Worker asks it when a job completes. */
export function judge(result: EngineResult, manifest: ModelManifest, gateRows: number, seed: number): Judged {
  const all = result.held_out;
  if ('task' in all) throw new Error('the datasets of this benchmark have one label a row');
  const places = [...all.truth.keys()];
  const test = pickRows(all, places.slice(gateRows));
  const { decision, reasons } = decideGate({
    heldOut: pickRows(all, places.slice(0, gateRows)),
    promote: 'if_better',
    classifier: 'benchmark',
    incumbentLabels: all.labels,
    candidateLabels: result.labels,
    networks: { candidate: networkOf(manifest), incumbent: 'base' },
    fitsEdge: fitsEdge(manifest),
    seed,
  });
  if (decision === 'not_requested') throw new Error('the gate was asked for a promotion');
  const accuracy = (answers: Answers): number => percent(rightOf(test, answers));
  return {
    decision,
    reasons: reasons.filter((reason) => reason.blocks).map((reason) => reason.code),
    ...truthOf(test, seed),
    candidate: accuracy(test.candidate),
    incumbent: accuracy(test.incumbent!),
    frozen: accuracy(test.frozen),
    sourceOnly: test.source_only && accuracy(test.source_only),
  };
}
