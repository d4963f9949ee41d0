/** The code of `/adapt` on one episode: what the classifier's object calls, refusals included. */
import { decideAdaptation, type Decision } from '../../../functions/learning/adaptation/decide.ts';
import { scoresOf } from '../../../functions/learning/adaptation/solve-adapted.ts';
import { argmax } from '../../../functions/learning/features.ts';
import type { Embeddings } from '../../../functions/learning/score-head.ts';
import { solveHead, type SolveInput } from '../../../functions/learning/solve-head.ts';
import type { Head } from '../../../shared/head.ts';
import type { EmbeddedSet } from '../accuracy/embeddings.ts';
import type { ShiftEpisode } from './episodes.ts';

export type Ours = {
  /** Accuracy in per cent on the held-out target inputs. */
  readonly source: number;
  /** As served after the call: the version before where it was refused. */
  readonly adapt: number;
  readonly decision: Pick<Decision, 'adapt' | 'evidence'> & { readonly reason: string | null };
};

export function solveInputOf(set: EmbeddedSet, background: readonly Float32Array[], episode: ShiftEpisode): SolveInput {
  return {
    labels: episode.labels,
    task: 'single_label',
    transform: 'sqrt_l2',
    dimension: set.rows[0]!.length,
    examples: episode.source.map((row, i) => ({
      id: String(row).padStart(6, '0'),
      labelsOf: [episode.sourceY[i]!],
      base: set.rows[row]!,
      tuned: null,
    })),
    names: episode.labels.map(() => null),
    background: { base: background, tuned: [] },
    tunedMix: 0,
    trainedTemperature: null,
    falseRejectRate: 0.05,
  };
}

const untuned = (base: Float32Array): Embeddings => ({ base, tuned: null });

export function accuracyOf(head: Head, rows: readonly Float32Array[], truth: readonly number[]): number {
  const k = head.labels.length;
  const scores = scoresOf(head, rows.map(untuned));
  return (100 * truth.filter((c, i) => argmax(scores.subarray(i * k, (i + 1) * k)) === c).length) / truth.length;
}

export function decideFor(input: SolveInput, target: EmbeddedSet, rows: readonly number[]): Decision {
  const decision = decideAdaptation(
    input,
    rows.map((row) => untuned(target.rows[row]!)),
    rows.map(() => null),
  );
  if (!decision) throw new Error('an episode of pictures can be adapted');
  return decision;
}

export function runOurs(source: EmbeddedSet, target: EmbeddedSet, background: readonly Float32Array[], episode: ShiftEpisode): Ours {
  const input = solveInputOf(source, background, episode);
  const held = episode.held.map((row) => target.rows[row]!);
  const plain = solveHead(input)!.head;
  const decision = decideFor(input, target, episode.target);
  return {
    source: accuracyOf(plain, held, episode.heldY),
    adapt: accuracyOf(decision.adapt ? decision.solved.head : plain, held, episode.heldY),
    // Without the head, which is long to print.
    decision: { adapt: decision.adapt, evidence: decision.evidence, reason: decision.adapt ? null : decision.reason },
  };
}
