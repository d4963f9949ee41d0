/** What the edge serves before any job: the head over the labelled rows, as enrolling them gives, and the same after `/adapt`. */
import { decideAdaptation } from '../../../functions/learning/adaptation/decide.ts';
import { solveHead, type SolveInput } from '../../../functions/learning/solve-head.ts';
import type { Head } from '../../../shared/head.ts';
import { backgroundOf } from '../accuracy/embeddings.ts';
import type { Domain } from './domains.ts';
import type { Episode } from './episode.ts';

export type Edge = { readonly head: Head; /** As served after `/adapt`, a refusal included; null without a target. */ readonly adapted: Head | null };

function inputOf({ set }: Domain, episode: Episode): SolveInput {
  return {
    labels: episode.labels,
    task: 'single_label',
    transform: set.modality === 'image' ? 'sqrt_l2' : 'l2',
    dimension: set.rows[0]!.length,
    examples: episode.train.rows.map((row, i) => ({
      id: String(row).padStart(6, '0'),
      labelsOf: [episode.train.y[i]!],
      base: set.rows[row]!,
      tuned: null,
    })),
    names: episode.labels.map((label) => set.nameRows?.[set.labels.indexOf(label)] ?? null),
    background: { base: backgroundOf(set.modality), tuned: [] },
    tunedMix: 0,
    trainedTemperature: null,
    falseRejectRate: 0.05,
  };
}

export function solveEdge(source: Domain, target: Domain | null, episode: Episode): Edge {
  const input = inputOf(source, episode);
  const { head } = solveHead(input)!;
  if (!target) return { head, adapted: null };
  const decision = decideAdaptation(
    input,
    episode.unlabelled.map((row) => ({ base: target.set.rows[row]!, tuned: null })),
    episode.unlabelled.map(() => null),
  );
  return { head, adapted: decision?.adapt === true ? decision.solved.head : head };
}
